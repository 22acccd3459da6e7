// The optimizer and dropout masks as plain functions over arrays of typed arrays: lib/native.ts says what they take.
#ifndef FLATRANK_ADDON_TRAINING_H_
#define FLATRANK_ADDON_TRAINING_H_

#include <napi.h>

namespace flatrank::addon {

Napi::Value AdamWStepOf(const Napi::CallbackInfo& info);
Napi::Value GradientNorm(const Napi::CallbackInfo& info);
Napi::Value AccumulateGradients(const Napi::CallbackInfo& info);
Napi::Value ScatterRows(const Napi::CallbackInfo& info);
Napi::Value FillDropoutMasks(const Napi::CallbackInfo& info);

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_TRAINING_H_
