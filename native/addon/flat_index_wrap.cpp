#include "addon/flat_index_wrap.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/cancellation_wrap.h"
#include "addon/environment.h"

namespace flatrank::addon {

Napi::Function FlatIndexWrap::Define(Napi::Env env) {
  return DefineClass(
      env, "FlatIndex",
      {InstanceAccessor<&FlatIndexWrap::Ntotal>("ntotal"), InstanceAccessor<&FlatIndexWrap::MemoryBytes>("memoryBytes"),
       InstanceMethod("stage", &FlatIndexWrap::Stage), InstanceMethod("commit", &FlatIndexWrap::Commit),
       InstanceMethod("rollback", &FlatIndexWrap::Rollback), InstanceMethod("search", &FlatIndexWrap::Search),
       InstanceMethod("reconstruct", &FlatIndexWrap::Reconstruct), InstanceMethod("reset", &FlatIndexWrap::Reset),
       InstanceMethod("dispose", &FlatIndexWrap::Dispose)});
}

FlatIndexWrap::FlatIndexWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  Guarded(info.Env(), [&] {
    const size_t dimension = ReadCount(info[0], "dimension", 1, FlatIndex::kMaxDimension);
    const std::string metric = ReadChoice(info[1], "metric");
    if (metric != "l2" && metric != "ip")
      throw Error(kInvalidArgument, "Expected `metric` to be 'l2' or 'ip' but received \"" + metric + "\"");
    threads_ = static_cast<int>(ReadCount(info[2], "threads", 1, 1024));
    index_ = std::make_shared<FlatIndex>(dimension, metric == "l2" ? Metric::kL2 : Metric::kInnerProduct);
  });
}

void FlatIndexWrap::Finalize(Napi::Env env) {
  index_.reset();
  ReportMemory(env);
}

FlatIndex& FlatIndexWrap::Open() const {
  if (!index_) throw Error(kDisposed, "The index was disposed");
  return *index_;
}

FlatIndex& FlatIndexWrap::OpenToWriter() const {
  if (committing_) throw Error(kInvalidArgument, "Expected no commit to be under way");
  return Open();
}

void FlatIndexWrap::ReportMemory(Napi::Env env) {
  const int64_t bytes = index_ ? static_cast<int64_t>(index_->memory_bytes()) : 0;
  if (bytes != reported_bytes_) Napi::MemoryManagement::AdjustExternalMemory(env, bytes - reported_bytes_);
  reported_bytes_ = bytes;
}

Napi::Value FlatIndexWrap::Ntotal(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(Open().ntotal())); });
}

Napi::Value FlatIndexWrap::MemoryBytes(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(Open().memory_bytes())); });
}

void FlatIndexWrap::Stage(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    FlatIndex& index = OpenToWriter();
    const View<float> rows = ReadArray<float>(info[0], "rows");
    if (rows.length % index.dimension() != 0)
      throw Error(kDimension, "Expected `rows` to hold rows of " + std::to_string(index.dimension()) + " values");
    index.Stage(rows.data, rows.length / index.dimension());
  });
}

Napi::Value FlatIndexWrap::Commit(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    OpenToWriter();
    JobSpec job;
    job.execute = [index = index_, threads = threads_](const Cancellation& cancellation) {
      index->Commit(threads, cancellation);
    };
    job.result = [this](Napi::Env env, const auto&) {
      ReportMemory(env);
      return env.Undefined();
    };
    job.settled = [this] { committing_ = false; };
    job.pins.push_back(Pin(info.This()));
    const Napi::Promise promise = Environment::Of(info.Env()).Run(CancellationWrap::Read(info[0]), std::move(job));
    committing_ = true;
    return promise;
  });
}

void FlatIndexWrap::Rollback(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] { OpenToWriter().Rollback(); });
}

Napi::Value FlatIndexWrap::Search(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const FlatIndex& index = Open();
    const size_t dimension = index.dimension();
    const View<float> given = ReadArray<float>(info[0], "queries");
    if (given.length % dimension != 0)
      throw Error(kDimension, "Expected `queries` to hold rows of " + std::to_string(dimension) + " values");
    const size_t nq = given.length / dimension;
    const size_t k = ReadCount(info[1], "k", 1, FlatIndex::kMaxRows);
    const auto cancellation = CancellationWrap::Read(info[2]);
    auto distances = NewArray<float>(env, nq * k);
    auto labels = NewArray<int32_t>(env, nq * k);

    JobSpec job;
    job.execute = [snapshot = index.TakeSnapshot(), metric = index.metric(), dimension, nq, k, threads = threads_,
                   queries = std::vector<float>(given.data, given.data + given.length), distances = distances.Data(),
                   labels = labels.Data()](const Cancellation& cancelled) {
      flatrank::Search(snapshot, metric, dimension, queries.data(), nq, k, threads, cancelled, distances, labels);
    };
    job.pins.push_back(Pin(distances));
    job.pins.push_back(Pin(labels));
    job.result = [](Napi::Env result_env, const auto& pins) -> Napi::Value {
      Napi::Object found = Napi::Object::New(result_env);
      found.Set("distances", pins[0].Value());
      found.Set("labels", pins[1].Value());
      return found;
    };
    return Environment::Of(env).Run(cancellation, std::move(job));
  });
}

Napi::Value FlatIndexWrap::Reconstruct(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const FlatIndex& index = Open();
    const Snapshot snapshot = index.TakeSnapshot();
    if (snapshot.rows == 0) throw Error(kInvalidArgument, "Expected `i` to be a row but the index is empty");
    const size_t i = ReadCount(info[0], "i", 0, snapshot.rows - 1);
    const auto block = std::prev(std::upper_bound(snapshot.blocks.begin(), snapshot.blocks.end(), i,
                                                  [](size_t row, const auto& b) { return row < b->first; }));
    const float* row = (*block)->rows.data() + (i - (*block)->first) * index.dimension();
    auto copy = NewArray<float>(info.Env(), index.dimension());
    std::copy_n(row, index.dimension(), copy.Data());
    return copy;
  });
}

void FlatIndexWrap::Reset(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    OpenToWriter().Reset();
    ReportMemory(info.Env());
  });
}

void FlatIndexWrap::Dispose(const Napi::CallbackInfo& info) {
  // A job that still runs holds the index itself; TypeScript has waited for its own.
  index_.reset();
  ReportMemory(info.Env());
}

}  // namespace flatrank::addon
