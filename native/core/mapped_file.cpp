#include "core/mapped_file.h"

#include <cerrno>
#include <cstring>

#include "core/error.h"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace flatrank {

#if defined(__unix__) || defined(__APPLE__)

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const auto fail = [&](int file) {
    const std::string reason = std::strerror(errno);
    if (file >= 0) close(file);
    throw Error(kNotFound, "Expected a file " + path + " that can be mapped but: " + reason);
  };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) fail(file);
  size_ = static_cast<uint64_t>(status.st_size);
  if (size_ > 0) {
    void* memory = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) fail(file);
    data_ = static_cast<std::byte*>(memory);
  }
  close(file);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

#else

MappedFile::MappedFile(const std::string& path) : path_(path) {
  throw Error(kUnsupported, "Expected a system that maps files: " + path + " has to be read instead");
}
MappedFile::~MappedFile() = default;

#endif

const std::byte* MappedFile::Range(uint64_t offset, uint64_t count, uint64_t item_bytes) const {
  if (offset > size_ || (item_bytes != 0 && count > (size_ - offset) / item_bytes))
    throw Error(kBadFile, "Expected " + path_ + " to hold " + std::to_string(count) + " rows of " +
                              std::to_string(item_bytes) + " bytes at " + std::to_string(offset) + " but it has " +
                              std::to_string(size_) + " bytes");
  return data_ + offset;
}

}  // namespace flatrank
