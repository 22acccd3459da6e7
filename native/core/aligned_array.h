#ifndef FLATRANK_CORE_ALIGNED_ARRAY_H_
#define FLATRANK_CORE_ALIGNED_ARRAY_H_

#include <cstddef>

namespace flatrank {

// Memory aligned to a cache line, in huge pages where it is much and the system has them. Throws std::bad_alloc.
void* AllocateAligned(size_t bytes);
void FreeAligned(void* memory, size_t bytes);

// n values of T, uninitialised.
template <typename T>
class AlignedArray {
 public:
  explicit AlignedArray(size_t n) : bytes_(n * sizeof(T)), data_(static_cast<T*>(AllocateAligned(bytes_))) {}
  ~AlignedArray() { FreeAligned(data_, bytes_); }
  AlignedArray(const AlignedArray&) = delete;
  AlignedArray& operator=(const AlignedArray&) = delete;
  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  const size_t bytes_;
  T* const data_;
};

}  // namespace flatrank

#endif  // FLATRANK_CORE_ALIGNED_ARRAY_H_
