#include "addon/cancellation_wrap.h"

#include "core/error.h"

namespace flatrank::addon {

namespace {

// Any object can be passed where a Cancellation is expected: the tag tells ours.
constexpr napi_type_tag kTag = {0x8d1d4c2f6a1b4e35, 0xb0a7f3c95e7d2410};

}  // namespace

Napi::Function CancellationWrap::Define(Napi::Env env) {
  return DefineClass(env, "Cancellation", {InstanceMethod("cancel", &CancellationWrap::Cancel)});
}

CancellationWrap::CancellationWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

std::shared_ptr<Cancellation> CancellationWrap::Read(const Napi::Value& value) {
  if (value.IsUndefined()) return nullptr;
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag))
    throw Error(kInvalidArgument, "Expected `cancellation` to be a Cancellation");
  return Unwrap(value.As<Napi::Object>())->cancellation_;
}

void CancellationWrap::Cancel(const Napi::CallbackInfo&) { cancellation_->Cancel(); }

}  // namespace flatrank::addon
