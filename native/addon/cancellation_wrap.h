#ifndef FLATRANK_ADDON_CANCELLATION_WRAP_H_
#define FLATRANK_ADDON_CANCELLATION_WRAP_H_

#include <napi.h>

#include <memory>

#include "core/cancellation.h"

namespace flatrank::addon {

// new Cancellation(), .cancel(): what an AbortSignal raises for native jobs.
class CancellationWrap : public Napi::ObjectWrap<CancellationWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // The flag behind `value`; null for undefined. Throws Error(kInvalidArgument) for anything else.
  static std::shared_ptr<Cancellation> Read(const Napi::Value& value);

  explicit CancellationWrap(const Napi::CallbackInfo& info);

 private:
  void Cancel(const Napi::CallbackInfo& info);

  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_CANCELLATION_WRAP_H_
