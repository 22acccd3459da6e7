#include "device/device_library.h"

#include <dlfcn.h>

#include <mutex>
#include <new>
#include <string>

#include "core/error.h"

namespace flatrank {

namespace {

constexpr const char* kFileName = "flatrank_cuda.so";

// The folder that this code was loaded from, with a slash behind it.
std::string OwnFolder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&OwnFolder), &info) == 0 || info.dli_fname == nullptr) return "./";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(kUnsupported, "Expected a GPU for the device 'cuda' but " + why);
}

const cuda::Library& Load() {
  const std::string path = OwnFolder() + kFileName;
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const text = dlerror();
    Refuse(std::string(kFileName) + " could not be loaded (" + (text == nullptr ? path : text) +
           "): build it with FLATRANK_CUDA=on npx cmake-js rebuild, which needs nvcc");
  }
  using Entry = const cuda::Library* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(handle, cuda::Library::kEntry));
  const cuda::Library* const library = entry == nullptr ? nullptr : entry();
  if (library == nullptr || library->version != cuda::Library::kVersion)
    Refuse(path + " belongs to another version of flatrank: build both together");
  cuda::DeviceInfo info;
  cuda::Status status;
  library->find_device(&info, &status);
  if (status.outcome != cuda::Outcome::kDone)
    Refuse(std::string("none can be used (") + status.message + "): see that nvidia-smi shows one");
  constexpr int kLeastMajor = 7, kLeastMinor = 5;
  if (info.major < kLeastMajor || (info.major == kLeastMajor && info.minor < kLeastMinor))
    Refuse(std::string(info.name) + " has compute capability " + std::to_string(info.major) + "." +
           std::to_string(info.minor) + ", and 7.5 is the least");
  return *library;
}

}  // namespace

const cuda::Library& CudaLibrary() {
  static std::mutex mutex;
  static const cuda::Library* library = nullptr;
  std::lock_guard<std::mutex> lock(mutex);
  if (library == nullptr) library = &Load();
  return *library;
}

void Check(const cuda::Status& status) {
  switch (status.outcome) {
    case cuda::Outcome::kDone:
      return;
    case cuda::Outcome::kOutOfMemory:
      throw std::bad_alloc();
    case cuda::Outcome::kCancelled:
      throw Error(kCancelled, "The search was cancelled");
    case cuda::Outcome::kFailed:
      throw Error(kDevice, std::string("The GPU failed: ") + status.message);
  }
}

}  // namespace flatrank
