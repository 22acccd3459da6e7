#ifndef FLATRANK_ADDON_FLAT_INDEX_WRAP_H_
#define FLATRANK_ADDON_FLAT_INDEX_WRAP_H_

#include <napi.h>

#include <memory>

#include "index/flat_index.h"

namespace flatrank::addon {

// new FlatIndex(dimension, metric, threads): lib/native.ts, NativeFlatIndex.
class FlatIndexWrap : public Napi::ObjectWrap<FlatIndexWrap> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit FlatIndexWrap(const Napi::CallbackInfo& info);
  void Finalize(Napi::Env env) override;

 private:
  Napi::Value Ntotal(const Napi::CallbackInfo& info);
  Napi::Value MemoryBytes(const Napi::CallbackInfo& info);
  void Stage(const Napi::CallbackInfo& info);
  Napi::Value Commit(const Napi::CallbackInfo& info);
  void Rollback(const Napi::CallbackInfo& info);
  Napi::Value Search(const Napi::CallbackInfo& info);
  Napi::Value Reconstruct(const Napi::CallbackInfo& info);
  void Reset(const Napi::CallbackInfo& info);
  void Dispose(const Napi::CallbackInfo& info);

  // The index, or Error(kDisposed).
  FlatIndex& Open() const;
  // The index, where no commit is under way: there is one writer at a time.
  FlatIndex& OpenToWriter() const;
  // Tells V8's garbage collector how much memory hangs on this object.
  void ReportMemory(Napi::Env env);

  std::shared_ptr<FlatIndex> index_;
  int threads_ = 1;
  int64_t reported_bytes_ = 0;
  bool committing_ = false;
};

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_FLAT_INDEX_WRAP_H_
