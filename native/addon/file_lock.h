#ifndef FLATRANK_ADDON_FILE_LOCK_H_
#define FLATRANK_ADDON_FILE_LOCK_H_

#include <napi.h>

namespace flatrank::addon {

// tryLock(fd: number): boolean. Whether the open file is now locked for its descriptor alone, until that is closed or
// the process ends, however it ends; false where another descriptor has the lock.
Napi::Value TryLock(const Napi::CallbackInfo& info);

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_FILE_LOCK_H_
