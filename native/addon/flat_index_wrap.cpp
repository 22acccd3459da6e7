#include "addon/flat_index_wrap.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/cancellation_wrap.h"
#include "addon/environment.h"
#include "device/device_library.h"
#include "index/prepared.h"

namespace flatrank::addon {

namespace {

// Any object can be passed where an index is expected: the tag tells ours.
constexpr napi_type_tag kTag = {0x3f0b6a5e94d24c1d, 0x9a7be6d1c8254f70};

// A search that takes less than this, and keeps no more than this, is done at once.
constexpr double kQuickSeconds = 100e-6;
constexpr size_t kQuickResults = 100;

// Nothing behind it crosses to the pool but copies.
std::optional<Selection> ReadSelection(const Napi::Value& value) {
  if (value.IsUndefined()) return std::nullopt;
  const View<uint8_t> bytes = ReadArray<uint8_t>(value, "selection");
  std::vector<uint64_t> words((bytes.length + 7) / 8);
  if (bytes.length > 0) std::memcpy(words.data(), bytes.data, bytes.length);  // little-endian, as every target is
  return Selection(std::move(words));
}

struct Query {
  std::vector<float> values;
  size_t count;
};

Query ReadQueries(const Napi::Value& value, size_t dimension) {
  const View<float> given = ReadArray<float>(value, "queries");
  if (given.length % dimension != 0)
    throw Error(kDimension, "Expected `queries` to hold rows of " + std::to_string(dimension) + " values");
  return {std::vector<float>(given.data, given.data + given.length), given.length / dimension};
}

}  // namespace

Napi::Function FlatIndexWrap::Define(Napi::Env env) {
  return DefineClass(
      env, "FlatIndex",
      {InstanceAccessor<&FlatIndexWrap::Ntotal>("ntotal"), InstanceAccessor<&FlatIndexWrap::MemoryBytes>("memoryBytes"),
       InstanceAccessor<&FlatIndexWrap::CodeRowBytes>("codeRowBytes"), InstanceMethod("stage", &FlatIndexWrap::Stage),
       InstanceMethod("stageMapped", &FlatIndexWrap::StageMapped),
       InstanceMethod("expectChecksums", &FlatIndexWrap::ExpectChecksums),
       InstanceMethod("prepared", &FlatIndexWrap::Prepared), InstanceMethod("codeRows", &FlatIndexWrap::CodeRows),
       InstanceMethod("commit", &FlatIndexWrap::Commit), InstanceMethod("rollback", &FlatIndexWrap::Rollback),
       InstanceMethod("remove", &FlatIndexWrap::Remove), InstanceMethod("search", &FlatIndexWrap::Search),
       InstanceMethod("rangeSearch", &FlatIndexWrap::RangeSearch), InstanceMethod("rows", &FlatIndexWrap::Rows),
       InstanceMethod("reset", &FlatIndexWrap::Reset), InstanceMethod("dispose", &FlatIndexWrap::Dispose)});
}

FlatIndexWrap::FlatIndexWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  Guarded(info.Env(), [&] {
    const size_t dimension = ReadCount(info[0], "dimension", 1, FlatIndex::kMaxDimension);
    const std::string metric = ReadChoice(info[1], "metric");
    if (metric != "l2" && metric != "ip")
      throw Error(kInvalidArgument, "Expected `metric` to be 'l2' or 'ip' but received \"" + metric + "\"");
    threads_ = static_cast<int>(ReadCount(info[2], "threads", 1, 1024));
    const bool coded = info[3].ToBoolean(), on_gpu = info[4].ToBoolean();
    if (on_gpu) device_ = std::make_shared<DeviceIndex>(CudaLibrary());
    // The GPU's scan is one of codes.
    index_ = std::make_shared<FlatIndex>(dimension, metric == "l2" ? Metric::kL2 : Metric::kInnerProduct,
                                         coded || on_gpu, on_gpu ? DeviceIndex::kBlockSizes : BlockSizes{});
    info.This().As<Napi::Object>().TypeTag(&kTag);
  });
}

std::shared_ptr<const FlatIndex> FlatIndexWrap::Read(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag))
    throw Error(kInvalidArgument, "Expected a FlatIndex");
  const FlatIndexWrap* wrap = Unwrap(value.As<Napi::Object>());
  wrap->Open();
  return wrap->index_;
}

void FlatIndexWrap::Finalize(Napi::Env env) {
  index_.reset();
  device_.reset();
  ReportMemory(env);
}

FlatIndex& FlatIndexWrap::Open() const {
  if (!index_) throw Error(kDisposed, "The index was disposed");
  return *index_;
}

FlatIndex& FlatIndexWrap::OpenToWriter() const {
  if (writing_) throw Error(kInvalidArgument, "Expected no other change to be under way");
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

Napi::Value FlatIndexWrap::CodeRowBytes(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(),
                 [&] { return Napi::Number::New(info.Env(), static_cast<double>(Open().space().row_bytes())); });
}

void FlatIndexWrap::Stage(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    FlatIndex& index = OpenToWriter();
    const View<float> rows = ReadArray<float>(info[0], "rows");
    if (rows.length % index.dimension() != 0)
      throw Error(kDimension, "Expected `rows` to hold rows of " + std::to_string(index.dimension()) + " values");
    const size_t more = info[1].IsUndefined() ? 0 : ReadCount(info[1], "more", 0, FlatIndex::kMaxRows);
    index.Stage(rows.data, rows.length / index.dimension(), more);
  });
}

void FlatIndexWrap::StageMapped(const Napi::CallbackInfo& info) {
  constexpr size_t kLargestOffset = size_t{1} << 53;
  Guarded(info.Env(), [&] {
    FlatIndex& index = OpenToWriter();
    const std::string path = ReadChoice(info[0], "path");
    const size_t offset = ReadCount(info[1], "offset", 0, kLargestOffset);
    const std::string prepared = info[3].IsUndefined() ? "" : ReadChoice(info[3], "prepared");
    const std::string code_rows = info[4].IsUndefined() ? "" : ReadChoice(info[4], "codeRows");
    index.StageMapped(path, offset, ReadCount(info[2], "rows", 0, FlatIndex::kMaxRows), prepared, code_rows);
  });
}

void FlatIndexWrap::ExpectChecksums(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    const auto read = [](const Napi::Value& value, const char* name) {
      const View<uint32_t> sums = ReadArray<uint32_t>(value, name);
      return std::vector<uint32_t>(sums.data, sums.data + sums.length);
    };
    OpenToWriter().ExpectChecksums(read(info[0], "checksums"),
                                   info[1].IsUndefined() ? std::vector<uint32_t>() : read(info[1], "codeRows"));
  });
}

Napi::Value FlatIndexWrap::Prepared(const Napi::CallbackInfo& info) {
  return Describe(info, PreparedBytes, WritePrepared);
}

Napi::Value FlatIndexWrap::CodeRows(const Napi::CallbackInfo& info) {
  return Describe(info, CodeRowsBytes, WriteCodeRows);
}

// Bytes about the rows of an index of one block.
Napi::Value FlatIndexWrap::Describe(const Napi::CallbackInfo& info, size_t (*size)(const Part&, const CodeSpace&),
                                    void (*write)(const Part&, const CodeSpace&, std::byte*)) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Snapshot snapshot = Open().TakeSnapshot();
    if (snapshot.parts.size() != 1)
      throw Error(kInvalidArgument,
                  "Expected an index of one block but received one of " + std::to_string(snapshot.parts.size()));
    auto bytes = NewArray<uint8_t>(info.Env(), size(snapshot.parts[0], index_->space()));
    JobSpec job;
    job.execute = [owner = index_, snapshot, write, out = bytes.Data(),
                   any = bytes.ElementLength() > 0](const Cancellation&) {
      if (any) write(snapshot.parts[0], owner->space(), reinterpret_cast<std::byte*>(out));
    };
    job.pins.push_back(Pin(bytes));
    job.result = [](Napi::Env, const auto& pins) -> Napi::Value { return pins[0].Value(); };
    return Environment::Of(info.Env()).Run(nullptr, std::move(job));
  });
}

Napi::Value FlatIndexWrap::RunWriter(const Napi::CallbackInfo& info, const Napi::Value& cancellation,
                                     std::function<size_t(FlatIndex&, const Cancellation&)> write) {
  JobSpec job;
  auto written = std::make_shared<size_t>(0);
  job.execute = [index = index_, write = std::move(write), written](const Cancellation& cancelled) {
    *written = write(*index, cancelled);
  };
  job.result = [this, written](Napi::Env env, const auto&) -> Napi::Value {
    ReportMemory(env);
    return Napi::Number::New(env, static_cast<double>(*written));
  };
  job.settled = [this] { writing_ = false; };
  job.pins.push_back(Pin(info.This()));
  const Napi::Promise promise = Environment::Of(info.Env()).Run(CancellationWrap::Read(cancellation), std::move(job));
  writing_ = true;
  return promise;
}

Napi::Value FlatIndexWrap::Commit(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    OpenToWriter();
    return RunWriter(info, info[0], [threads = threads_](FlatIndex& index, const Cancellation& cancellation) {
      index.Commit(threads, cancellation);
      return index.ntotal();
    });
  });
}

void FlatIndexWrap::Rollback(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] { OpenToWriter().Rollback(); });
}

Napi::Value FlatIndexWrap::Remove(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    OpenToWriter();
    auto selection = ReadSelection(info[0]);
    if (!selection) throw Error(kInvalidArgument, "Expected `selection` to be a Uint8Array");
    return RunWriter(
        info, info[1],
        [threads = threads_, selection = *std::move(selection)](FlatIndex& index, const Cancellation& cancellation) {
          return index.Remove(selection, threads, cancellation);
        });
  });
}

Napi::Value FlatIndexWrap::Search(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const FlatIndex& index = Open();
    Query query = ReadQueries(info[0], index.dimension());
    const size_t k = ReadCount(info[1], "k", 1, FlatIndex::kMaxRows);
    auto selection = ReadSelection(info[2]);
    const auto cancellation = CancellationWrap::Read(info[3]);
    auto distances = NewArray<float>(env, query.count * k);
    auto labels = NewArray<int32_t>(env, query.count * k);

    JobSpec job;
    Snapshot seen = index.TakeSnapshot();
    job.quick = !device_ && SearchSeconds(seen, index.dimension(), query.count) < kQuickSeconds && k <= kQuickResults;
    job.execute = [owner = index_, device = device_, snapshot = std::move(seen), k, threads = threads_,
                   query = std::move(query), selection = std::move(selection), distances = distances.Data(),
                   labels = labels.Data()](const Cancellation& cancelled) {
      const SearchOptions options{selection ? &*selection : nullptr, threads};
      if (device)
        device->Search(snapshot, owner->space(), query.values.data(), query.count, k, options, cancelled, distances,
                       labels);
      else
        flatrank::Search(snapshot, owner->space(), query.values.data(), query.count, k, options, cancelled, distances,
                         labels);
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

Napi::Value FlatIndexWrap::RangeSearch(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const FlatIndex& index = Open();
    Query query = ReadQueries(info[0], index.dimension());
    if (!info[1].IsNumber()) throw Error(kInvalidArgument, "Expected `radius` to be a number");
    const double radius = info[1].As<Napi::Number>().DoubleValue();
    auto selection = ReadSelection(info[2]);
    const auto cancellation = CancellationWrap::Read(info[3]);

    JobSpec job;
    auto result = std::make_shared<RangeResult>();
    job.execute = [owner = index_, snapshot = index.TakeSnapshot(), radius, threads = threads_,
                   query = std::move(query), selection = std::move(selection), result](const Cancellation& cancelled) {
      *result = flatrank::RangeSearch(snapshot, owner->space(), query.values.data(), query.count, radius,
                                      {selection ? &*selection : nullptr, threads}, cancelled);
    };
    job.result = [result](Napi::Env env, const auto&) -> Napi::Value {
      // Limits beyond 2^32 would be results of 32 GB and more, which no array here can hold.
      auto limits = NewArray<uint32_t>(env, result->limits.size());
      std::transform(result->limits.begin(), result->limits.end(), limits.Data(),
                     [](size_t limit) { return static_cast<uint32_t>(limit); });
      auto distances = NewArray<float>(env, result->distances.size());
      auto labels = NewArray<int32_t>(env, result->labels.size());
      std::copy(result->distances.begin(), result->distances.end(), distances.Data());
      std::copy(result->labels.begin(), result->labels.end(), labels.Data());
      Napi::Object found = Napi::Object::New(env);
      found.Set("limits", limits);
      found.Set("distances", distances);
      found.Set("labels", labels);
      return found;
    };
    return Environment::Of(info.Env()).Run(cancellation, std::move(job));
  });
}

Napi::Value FlatIndexWrap::Rows(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const FlatIndex& index = Open();
    const size_t d = index.dimension();
    const Snapshot snapshot = index.TakeSnapshot();
    const size_t begin = ReadCount(info[0], "begin", 0, snapshot.rows);
    const size_t count = ReadCount(info[1], "count", 0, snapshot.rows - begin);
    auto copy = NewArray<float>(info.Env(), count * d);
    for (size_t row = begin; row < begin + count;) {
      const Part& part = snapshot.PartOf(row);
      const size_t taken = std::min(begin + count, part.first + part.rows) - row;
      float* const to = copy.Data() + (row - begin) * d;
      const float* const from = part.block->Rows(row - part.first, taken, to);
      if (from != to) std::memcpy(to, from, taken * d * sizeof(float));
      row += taken;
    }
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
  device_.reset();
  ReportMemory(info.Env());
}

}  // namespace flatrank::addon
