#ifndef FLATRANK_CORE_MAPPABLE_ARRAY_H_
#define FLATRANK_CORE_MAPPABLE_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/aligned_array.h"
#include "core/mapped_file.h"

namespace flatrank {

// n values of T: in memory, to be written, or in a mapped file, to be read only.
template <typename T>
class MappableArray {
 public:
  explicit MappableArray(size_t n) : owned_(std::make_unique<AlignedArray<T>>(n)), data_(owned_->data()) {}
  // Throws Error(kBadFile) where the file ends before. `offset` is a multiple of the alignment of T.
  MappableArray(std::shared_ptr<const MappedFile> file, uint64_t offset, size_t n)
      : file_(std::move(file)), data_(const_cast<T*>(reinterpret_cast<const T*>(file_->Range(offset, n, sizeof(T))))) {}

  T* data() { return data_; }
  const T* data() const { return data_; }
  // Of memory.
  size_t bytes() const { return owned_ ? owned_->bytes() : 0; }

 private:
  std::unique_ptr<AlignedArray<T>> owned_;
  std::shared_ptr<const MappedFile> file_;
  T* data_;
};

}  // namespace flatrank

#endif  // FLATRANK_CORE_MAPPABLE_ARRAY_H_
