#ifndef FLATRANK_CORE_MAPPED_FILE_H_
#define FLATRANK_CORE_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace flatrank {

// A file mapped into memory for reading. Whoever writes index files replaces them and never changes them in place: a
// file that shrinks while it is mapped ends the process that reads behind its end, as mapped files do everywhere.
class MappedFile {
 public:
  // Throws Error(kNotFound) where it cannot be read, Error(kUnsupported) on systems without mapping.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }

  // The address of `count` items of `item_bytes` at `offset`. Throws Error(kBadFile) where the file ends before.
  const std::byte* Range(uint64_t offset, uint64_t count, uint64_t item_bytes) const;

 private:
  const std::string path_;
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace flatrank

#endif  // FLATRANK_CORE_MAPPED_FILE_H_
