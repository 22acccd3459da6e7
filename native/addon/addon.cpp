// The module: what lib/native.ts loads.
#include <napi.h>

#include "addon/cancellation_wrap.h"
#include "addon/environment.h"
#include "addon/file_lock.h"
#include "addon/flat_index_wrap.h"
#include "addon/operations.h"
#include "addon/search_together.h"
#include "addon/training.h"
#include "core/cpu.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"

#if defined(__linux__) || defined(__APPLE__)
#include <dlfcn.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

namespace flatrank::addon {

namespace {

// Node unloads an addon with the last worker thread that loaded it, while our pool's threads live on in its code: so it
// is kept for good.
void StayLoaded() {
#if defined(__linux__) || defined(__APPLE__)
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &self) != 0) dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
#elif defined(_WIN32)
  HMODULE self;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                     reinterpret_cast<LPCWSTR>(&StayLoaded), &self);
#endif
}

void SetErrorClass(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "Expected a class");
  Environment::Of(info.Env()).SetErrorClass(info[0].As<Napi::Function>());
}

}  // namespace

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  StayLoaded();
  Environment::Create(env);
  return Guarded(env, [&] {
    exports.Set("isa", ActiveKernels().name);
    exports.Set("cpuLimit", CpuLimit());
    exports.Set("poolThreads", ThreadPool::Shared().threads());
    exports.Set("setErrorClass", Napi::Function::New(env, SetErrorClass, "setErrorClass"));
    exports.Set("Cancellation", CancellationWrap::Define(env));
    exports.Set("FlatIndex", FlatIndexWrap::Define(env));
    exports.Set("pool", Napi::Function::New(env, PoolTokens, "pool"));
    exports.Set("mergeShards", Napi::Function::New(env, MergeShardResults, "mergeShards"));
    exports.Set("mergeRerank", Napi::Function::New(env, MergeRerankLists, "mergeRerank"));
    exports.Set("searchTogether", Napi::Function::New(env, SearchTogether, "searchTogether"));
    exports.Set("tryLock", Napi::Function::New(env, TryLock, "tryLock"));
    exports.Set("adamw", Napi::Function::New(env, AdamWStepOf, "adamw"));
    exports.Set("gradientNorm", Napi::Function::New(env, GradientNorm, "gradientNorm"));
    exports.Set("accumulate", Napi::Function::New(env, AccumulateGradients, "accumulate"));
    exports.Set("scatterAddRows", Napi::Function::New(env, ScatterRows, "scatterAddRows"));
    exports.Set("dropoutMasks", Napi::Function::New(env, FillDropoutMasks, "dropoutMasks"));
    return exports;
  });
}

}  // namespace flatrank::addon

using flatrank::addon::Initialize;
NODE_API_MODULE(flatrank, Initialize)
