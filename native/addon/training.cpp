#include "addon/training.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "optimizer/dropout.h"
#include "optimizer/optimizer.h"

namespace flatrank::addon {

namespace {

constexpr size_t kMaxRows = (size_t{1} << 31) - 1;
constexpr size_t kMaxInteger = (size_t{1} << 53) - 1;

// The arrays in `value`, pinned by the job that works on them in place.
std::vector<FloatSpan> ReadTensors(const Napi::Value& value, const char* name, JobSpec& job) {
  if (!value.IsArray()) throw Error(kInvalidArgument, std::string("Expected `") + name + "` to be an array");
  const auto array = value.As<Napi::Array>();
  std::vector<FloatSpan> tensors;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    const View<float> view = ReadArray<float>(item, name);
    tensors.push_back({const_cast<float*>(view.data), view.length});
    job.pins.push_back(Pin(item));
  }
  return tensors;
}

void CheckSameSizes(const char* name, const std::vector<FloatSpan>& tensors, const std::vector<FloatSpan>& like) {
  bool same = tensors.size() == like.size();
  for (size_t i = 0; same && i < like.size(); ++i) same = tensors[i].size == like[i].size;
  if (!same) throw Error(kInvalidArgument, std::string("Expected `") + name + "` to have the sizes of the tensors");
}

double ReadNumber(const Napi::Value& value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!std::isfinite(number))
    throw Error(kInvalidArgument, std::string("Expected `") + name + "` to be a finite number");
  return number;
}

Napi::Value Undefined(Napi::Env env, const std::vector<Napi::ObjectReference>&) { return env.Undefined(); }

Napi::Value Run(const Napi::CallbackInfo& info, JobSpec job) {
  return Environment::Of(info.Env()).Run(nullptr, std::move(job));
}

}  // namespace

// (parameters, gradients, firstMoments, secondMoments, decayed, weightDecay, learningRate, beta1, beta2, epsilon, step,
// gradientScale)
Napi::Value AdamWStepOf(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    JobSpec job;
    const auto parameters = ReadTensors(info[0], "parameters", job), gradients = ReadTensors(info[1], "gradients", job),
               first = ReadTensors(info[2], "firstMoments", job), second = ReadTensors(info[3], "secondMoments", job);
    CheckSameSizes("gradients", gradients, parameters);
    CheckSameSizes("firstMoments", first, parameters);
    CheckSameSizes("secondMoments", second, parameters);
    const View<int32_t> decayed = ReadArray<int32_t>(info[4], "decayed");
    if (decayed.length != parameters.size())
      throw Error(kInvalidArgument, "Expected `decayed` to have one value a tensor");
    const double weight_decay = ReadNumber(info[5], "weightDecay");
    const AdamWStep step{ReadNumber(info[6], "learningRate"),
                         ReadNumber(info[7], "beta1"),
                         ReadNumber(info[8], "beta2"),
                         ReadNumber(info[9], "epsilon"),
                         static_cast<int64_t>(ReadCount(info[10], "step", 1, kMaxInteger)),
                         ReadNumber(info[11], "gradientScale")};
    std::vector<AdamWTensor> tensors;
    for (size_t i = 0; i < parameters.size(); ++i)
      tensors.push_back({parameters[i].data, gradients[i].data, first[i].data, second[i].data, parameters[i].size,
                         decayed.data[i] != 0 ? weight_decay : 0});
    job.execute = [tensors = std::move(tensors), step](const Cancellation&) { AdamW(tensors, step, AllThreads()); };
    job.result = Undefined;
    return Run(info, std::move(job));
  });
}

Napi::Value GradientNorm(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    JobSpec job;
    auto norm = std::make_shared<double>(0);
    job.execute = [tensors = ReadTensors(info[0], "gradients", job), norm](const Cancellation&) {
      *norm = GlobalNorm(tensors, AllThreads());
    };
    job.result = [norm](Napi::Env env, const auto&) -> Napi::Value { return Napi::Number::New(env, *norm); };
    return Run(info, std::move(job));
  });
}

Napi::Value AccumulateGradients(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    JobSpec job;
    const auto targets = ReadTensors(info[0], "targets", job), sources = ReadTensors(info[1], "sources", job);
    CheckSameSizes("sources", sources, targets);
    job.execute = [targets, sources](const Cancellation&) { Accumulate(targets, sources, AllThreads()); };
    job.result = Undefined;
    return Run(info, std::move(job));
  });
}

Napi::Value ScatterRows(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    JobSpec job;
    const View<float> table = ReadArray<float>(info[0], "table"), rows = ReadArray<float>(info[2], "rows");
    const size_t cols = ReadCount(info[1], "cols", 1, kMaxRows);
    const View<int32_t> ids = ReadArray<int32_t>(info[3], "ids");
    const double skip = ReadNumber(info[4], "skip");
    if (table.length % cols != 0 || rows.length / cols != ids.length || rows.length % cols != 0)
      throw Error(kInvalidArgument, "Expected `table` and `rows` to have rows of " + std::to_string(cols) +
                                        " values, one of `rows` for each of `ids`");
    for (const uint32_t i : {0u, 2u, 3u}) job.pins.push_back(Pin(info[i]));
    job.execute = [=, to = const_cast<float*>(table.data)](const Cancellation&) {
      ScatterAddRows(to, table.length / cols, cols, rows.data, ids.data, ids.length, static_cast<int32_t>(skip),
                     AllThreads());
    };
    job.result = Undefined;
    return Run(info, std::move(job));
  });
}

// (masks, sites, seed, step, probability)
Napi::Value FillDropoutMasks(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsArray()) throw Error(kInvalidArgument, "Expected `masks` to be an array");
    const auto array = info[0].As<Napi::Array>();
    const View<int32_t> sites = ReadArray<int32_t>(info[1], "sites");
    const size_t seed = ReadCount(info[2], "seed", 0, kMaxInteger), step = ReadCount(info[3], "step", 0, kMaxInteger);
    const double probability = ReadNumber(info[4], "probability");
    if (!(probability >= 0 && probability < 1))
      throw Error(kInvalidArgument, "Expected `probability` to be at least 0 and below 1");
    if (sites.length != array.Length()) throw Error(kInvalidArgument, "Expected `sites` to have one value a mask");
    struct Mask {
      uint8_t* data;
      size_t size;
      uint64_t key;
    };
    std::vector<Mask> masks;
    JobSpec job;
    for (uint32_t i = 0; i < array.Length(); ++i) {
      const Napi::Value item = array.Get(i);
      if (!item.IsTypedArray() || item.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
        throw Error(kInvalidArgument, "Expected `masks` to hold Uint8Arrays");
      auto mask = item.As<Napi::Uint8Array>();
      masks.push_back({mask.Data(), mask.ElementLength(),
                       DropoutKey(seed, step, static_cast<uint64_t>(static_cast<uint32_t>(sites.data[i])))});
      job.pins.push_back(Pin(item));
    }
    job.execute = [masks = std::move(masks), probability](const Cancellation&) {
      for (const Mask& mask : masks) DropoutMask(mask.key, probability, mask.data, mask.size, AllThreads());
    };
    job.result = Undefined;
    return Run(info, std::move(job));
  });
}

}  // namespace flatrank::addon
