#ifndef FLATRANK_ADDON_FLAT_INDEX_WRAP_H_
#define FLATRANK_ADDON_FLAT_INDEX_WRAP_H_

#include <napi.h>

#include <functional>
#include <memory>

#include "device/device_index.h"
#include "index/flat_index.h"

namespace flatrank::addon {

// new FlatIndex(dimension, metric, threads, coded): lib/native.ts, NativeFlatIndex.
class FlatIndexWrap : public Napi::ObjectWrap<FlatIndexWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // The index behind `value`. Throws Error(kInvalidArgument) for anything else, Error(kDisposed).
  static std::shared_ptr<const FlatIndex> Read(const Napi::Value& value);

  explicit FlatIndexWrap(const Napi::CallbackInfo& info);
  void Finalize(Napi::Env env) override;

 private:
  Napi::Value Ntotal(const Napi::CallbackInfo& info);
  Napi::Value MemoryBytes(const Napi::CallbackInfo& info);
  Napi::Value CodeRowBytes(const Napi::CallbackInfo& info);
  void Stage(const Napi::CallbackInfo& info);
  void StageMapped(const Napi::CallbackInfo& info);
  void ExpectChecksums(const Napi::CallbackInfo& info);
  Napi::Value Prepared(const Napi::CallbackInfo& info);
  Napi::Value CodeRows(const Napi::CallbackInfo& info);
  Napi::Value Describe(const Napi::CallbackInfo& info, size_t (*size)(const Part&, const CodeSpace&),
                       void (*write)(const Part&, const CodeSpace&, std::byte*));
  Napi::Value Commit(const Napi::CallbackInfo& info);
  void Rollback(const Napi::CallbackInfo& info);
  Napi::Value Remove(const Napi::CallbackInfo& info);
  Napi::Value Search(const Napi::CallbackInfo& info);
  Napi::Value RangeSearch(const Napi::CallbackInfo& info);
  Napi::Value Rows(const Napi::CallbackInfo& info);
  void Reset(const Napi::CallbackInfo& info);
  void Dispose(const Napi::CallbackInfo& info);

  // The index, or Error(kDisposed).
  FlatIndex& Open() const;
  // The index, where no change is under way: there is one writer at a time.
  FlatIndex& OpenToWriter() const;
  // Runs a change on the pool; the promise resolves with what it returns.
  Napi::Value RunWriter(const Napi::CallbackInfo& info, const Napi::Value& cancellation,
                        std::function<size_t(FlatIndex&, const Cancellation&)> write);
  // Tells V8's garbage collector how much memory hangs on this object.
  void ReportMemory(Napi::Env env);

  std::shared_ptr<FlatIndex> index_;
  std::shared_ptr<DeviceIndex> device_;  // null where searches run on the CPU
  int threads_ = 1;
  int64_t reported_bytes_ = 0;
  bool writing_ = false;
};

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_FLAT_INDEX_WRAP_H_
