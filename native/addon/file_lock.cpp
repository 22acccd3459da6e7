#include "addon/file_lock.h"

#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "addon/arguments.h"
#include "addon/environment.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/file.h>
#endif

namespace flatrank::addon {

Napi::Value TryLock(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const size_t file = ReadCount(info[0], "fd", 0, std::numeric_limits<int>::max());
#if defined(__unix__) || defined(__APPLE__)
    int failed;
    do failed = flock(static_cast<int>(file), LOCK_EX | LOCK_NB);
    while (failed != 0 && errno == EINTR);
    if (failed != 0 && errno != EWOULDBLOCK)
      throw Error(kUnsupported, std::string("Expected a file system with file locks but: ") + std::strerror(errno));
    return Napi::Boolean::New(info.Env(), failed == 0);
#else
    static_cast<void>(file);
    throw Error(kUnsupported, "Expected a system with file locks (flock)");
#endif
  });
}

}  // namespace flatrank::addon
