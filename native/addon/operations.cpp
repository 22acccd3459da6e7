#include "addon/operations.h"

#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/cancellation_wrap.h"
#include "addon/environment.h"
#include "merge/merge.h"
#include "pool/pooling.h"

namespace flatrank::addon {

namespace {

constexpr size_t kMaxRows = (size_t{1} << 31) - 1;
constexpr size_t kQuickValues = size_t{1} << 18;  // pooled in less time than waking another thread takes

Pooling ReadPooling(const Napi::Value& value) {
  const std::string mode = ReadChoice(value, "mode");
  if (mode == "mean") return Pooling::kMean;
  if (mode == "cls") return Pooling::kCls;
  if (mode == "max") return Pooling::kMax;
  if (mode == "mean_sqrt_len") return Pooling::kMeanSqrtLen;
  throw Error(kInvalidArgument,
              "Expected `mode` to be one of 'mean', 'cls', 'max', 'mean_sqrt_len' but received \"" + mode + "\"");
}

void CheckLength(const char* name, size_t length, size_t expected) {
  if (length != expected)
    throw Error(kInvalidArgument, std::string("Expected `") + name + "` to have " + std::to_string(expected) +
                                      " values but received " + std::to_string(length));
}

// Two arrays of results, (nq, k) each, and the job that will fill them: { [value_name]: values, labels }.
struct Ranked {
  Ranked(Napi::Env env, size_t count, const char* value_name)
      : values(NewArray<float>(env, count)), labels(NewArray<int32_t>(env, count)) {
    job.pins.push_back(Pin(values));
    job.pins.push_back(Pin(labels));
    job.result = [value_name](Napi::Env result_env, const auto& pins) -> Napi::Value {
      Napi::Object ranked = Napi::Object::New(result_env);
      ranked.Set(value_name, pins[0].Value());
      ranked.Set("labels", pins[1].Value());
      return ranked;
    };
  }

  Napi::TypedArrayOf<float> values;
  Napi::TypedArrayOf<int32_t> labels;
  JobSpec job;
};

}  // namespace

Napi::Value PoolTokens(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const View<float> hidden = ReadArray<float>(info[0], "hidden");
    const View<int32_t> offsets = ReadArray<int32_t>(info[1], "offsets"),
                        lengths = ReadArray<int32_t>(info[2], "lengths");
    const size_t dimension = ReadCount(info[3], "dimension", 1, kMaxRows);
    if (hidden.length % dimension != 0)
      throw Error(kDimension, "Expected `hidden` to hold rows of " + std::to_string(dimension) + " values");
    CheckLength("lengths", lengths.length, offsets.length);
    const Pooling mode = ReadPooling(info[4]);
    if (!info[5].IsBoolean()) throw Error(kInvalidArgument, "Expected `normalize` to be a boolean");
    const bool normalize = info[5].As<Napi::Boolean>();
    const size_t n = offsets.length;
    auto pooled = NewArray<float>(info.Env(), n * dimension);

    JobSpec job;
    job.execute = [=, rows = hidden.length / dimension, offset = std::vector<int32_t>(offsets.data, offsets.data + n),
                   length = std::vector<int32_t>(lengths.data, lengths.data + n), values = hidden.data,
                   out = pooled.Data()](const Cancellation& cancellation) {
      Pool({values, rows, dimension, offset.data(), length.data(), n}, mode, normalize, AllThreads(), cancellation,
           out);
    };
    job.pins.push_back(Pin(pooled));
    job.pins.push_back(Pin(info[0]));
    job.result = [](Napi::Env, const auto& pins) -> Napi::Value { return pins[0].Value(); };
    job.quick = hidden.length <= kQuickValues;
    return Environment::Of(info.Env()).Run(CancellationWrap::Read(info[6]), std::move(job));
  });
}

Napi::Value MergeShardResults(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsArray() || !info[1].IsArray())
      throw Error(kInvalidArgument, "Expected `distances` and `labels` to be arrays");
    const auto distances = info[0].As<Napi::Array>(), labels = info[1].As<Napi::Array>();
    const View<int32_t> label_offsets = ReadArray<int32_t>(info[2], "labelOffsets");
    const size_t nq = ReadCount(info[3], "nq", 0, kMaxRows), k = ReadCount(info[4], "k", 1, kMaxRows);
    if (!info[5].IsBoolean()) throw Error(kInvalidArgument, "Expected `descending` to be a boolean");
    const bool descending = info[5].As<Napi::Boolean>();
    const size_t count = distances.Length();
    CheckLength("labels", labels.Length(), count);
    CheckLength("labelOffsets", label_offsets.length, count);

    Ranked ranked(info.Env(), nq * k, "distances");
    // Lists of results are small: they are copied, so that nobody can pull them away.
    struct Copy {
      std::vector<float> distances;
      std::vector<int32_t> labels;
    };
    std::vector<Copy> copies(count);
    std::vector<ShardResult> shards(count);
    for (uint32_t s = 0; s < count; ++s) {
      const View<float> shard_distances = ReadArray<float>(distances.Get(s), "distances");
      const View<int32_t> shard_labels = ReadArray<int32_t>(labels.Get(s), "labels");
      CheckLength("labels", shard_labels.length, shard_distances.length);
      const size_t shard_k = nq == 0 ? 0 : shard_distances.length / nq;
      CheckLength("distances", shard_distances.length, shard_k * nq);
      copies[s] = {{shard_distances.data, shard_distances.data + shard_distances.length},
                   {shard_labels.data, shard_labels.data + shard_labels.length}};
      shards[s] = {copies[s].distances.data(), copies[s].labels.data(), shard_k, label_offsets.data[s]};
    }
    ranked.job.execute = [copies = std::move(copies), shards = std::move(shards), nq, k, descending,
                          out = ranked.values.Data(),
                          out_labels = ranked.labels.Data()](const Cancellation& cancelled) {
      MergeShards(shards, nq, k, descending, AllThreads(), cancelled, out, out_labels);
    };
    return Environment::Of(info.Env()).Run(CancellationWrap::Read(info[6]), std::move(ranked.job));
  });
}

Napi::Value MergeRerankLists(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const View<int32_t> labels = ReadArray<int32_t>(info[0], "labels");
    const View<float> scores = ReadArray<float>(info[1], "scores");
    const View<int32_t> offsets = ReadArray<int32_t>(info[2], "offsets");
    CheckLength("scores", scores.length, labels.length);
    if (offsets.length == 0) throw Error(kInvalidArgument, "Expected `offsets` to have at least one value");
    const size_t nq = offsets.length - 1, k = ReadCount(info[3], "k", 1, kMaxRows);

    Ranked ranked(info.Env(), nq * k, "scores");
    ranked.job.execute = [label = std::vector<int32_t>(labels.data, labels.data + labels.length),
                          score = std::vector<float>(scores.data, scores.data + scores.length),
                          offset = std::vector<int32_t>(offsets.data, offsets.data + offsets.length), nq, k,
                          out = ranked.values.Data(),
                          out_labels = ranked.labels.Data()](const Cancellation& cancelled) {
      MergeRerank({label.data(), score.data(), offset.data(), label.size(), nq}, k, AllThreads(), cancelled, out,
                  out_labels);
    };
    return Environment::Of(info.Env()).Run(CancellationWrap::Read(info[4]), std::move(ranked.job));
  });
}

}  // namespace flatrank::addon
