#include "addon/search_together.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/cancellation_wrap.h"
#include "addon/environment.h"
#include "addon/flat_index_wrap.h"
#include "index/concatenation.h"

namespace flatrank::addon {

namespace {

// The bytes of a bitmap; none where `value` is undefined.
View<uint8_t> ReadBitmap(const Napi::Value& value, size_t rows) {
  if (value.IsUndefined()) return {nullptr, 0};
  const View<uint8_t> bytes = ReadArray<uint8_t>(value, "selections");
  if (bytes.length != (rows + 7) / 8)
    throw Error(kInvalidArgument, "Expected a selection to have a bit for each of " + std::to_string(rows) +
                                      " rows but received " + std::to_string(bytes.length) + " bytes");
  return bytes;
}

}  // namespace

Napi::Value SearchTogether(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    if (!info[0].IsArray() || !info[2].IsArray() || info[0].As<Napi::Array>().Length() == 0)
      throw Error(kInvalidArgument, "Expected `indexes` and `selections` to be arrays that are not empty");
    const auto indexes = info[0].As<Napi::Array>(), selections = info[2].As<Napi::Array>();
    const View<int32_t> rows = ReadArray<int32_t>(info[1], "rows");
    if (rows.length != indexes.Length() || selections.Length() != indexes.Length())
      throw Error(kInvalidArgument, "Expected `rows` and `selections` to have a value for each index");
    Concatenation all;
    std::shared_ptr<const FlatIndex> first;
    for (uint32_t i = 0; i < indexes.Length(); ++i) {
      auto index = FlatIndexWrap::Read(indexes.Get(i));
      if (!first) first = index;
      if (index->dimension() != first->dimension() || index->metric() != first->metric())
        throw Error(kInvalidArgument, "Expected `indexes` to have one dimension and metric");
      const size_t count = rows.data[i] < 0 ? 0 : static_cast<size_t>(rows.data[i]);
      const View<uint8_t> bitmap = ReadBitmap(selections.Get(i), count);
      all.Append(index->TakeSnapshot(), count, bitmap.data);
    }
    const size_t dimension = first->dimension();
    const View<float> given = ReadArray<float>(info[3], "queries");
    if (given.length % dimension != 0)
      throw Error(kDimension, "Expected `queries` to hold rows of " + std::to_string(dimension) + " values");
    const size_t nq = given.length / dimension, k = ReadCount(info[4], "k", 1, FlatIndex::kMaxRows);
    const int threads = static_cast<int>(ReadCount(info[5], "threads", 1, 1024));
    const auto cancellation = CancellationWrap::Read(info[6]);
    auto distances = NewArray<float>(env, nq * k);
    auto labels = NewArray<int32_t>(env, nq * k);

    JobSpec job;
    job.execute = [first, selection = all.TakeSelection(), snapshot = all.snapshot(), nq, k, threads,
                   queries = std::vector<float>(given.data, given.data + given.length), distances = distances.Data(),
                   labels = labels.Data()](const Cancellation& cancelled) {
      const SearchOptions options{selection ? &*selection : nullptr, threads};
      Search(snapshot, first->space(), queries.data(), nq, k, options, cancelled, distances, labels);
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

}  // namespace flatrank::addon
