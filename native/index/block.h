// Rows of an index, in immutable blocks: a row never moves once it is written, so a search reads them without a lock
// while others are appended.
#ifndef FLATRANK_INDEX_BLOCK_H_
#define FLATRANK_INDEX_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace flatrank {

// n values of T, uninitialised, aligned to a cache line, in huge pages where they are many and the system has them.
// Throws std::bad_alloc.
void* AllocateAligned(size_t bytes);
void FreeAligned(void* memory, size_t bytes);

template <typename T>
class AlignedArray {
 public:
  explicit AlignedArray(size_t n) : bytes_(n * sizeof(T)), data_(static_cast<T*>(AllocateAligned(bytes_))) {}
  ~AlignedArray() { FreeAligned(data_, bytes_); }
  AlignedArray(const AlignedArray&) = delete;
  AlignedArray& operator=(const AlignedArray&) = delete;
  T* data() { return data_; }
  const T* data() const { return data_; }

 private:
  const size_t bytes_;
  T* const data_;
};

struct Block {
  Block(size_t first_row, size_t row_capacity, size_t dimension)
      : first(first_row),
        capacity(row_capacity),
        rows(row_capacity * dimension),
        norm2_low(row_capacity),
        norm_high(row_capacity) {}

  size_t bytes(size_t dimension) const { return capacity * (dimension + 2) * sizeof(float); }

  const size_t first;             // label of row 0
  const size_t capacity;          // rows it can hold
  AlignedArray<float> rows;       // (capacity, dimension), row-major
  AlignedArray<float> norm2_low;  // (capacity) |x|^2, rounded down
  AlignedArray<float> norm_high;  // (capacity) |x|, rounded up
};

// What one search sees: the rows committed when it was asked for.
struct Snapshot {
  std::vector<std::shared_ptr<const Block>> blocks;  // ascending by `first`
  size_t rows = 0;
  double max_norm2 = 0;  // at least the largest |x|^2
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_BLOCK_H_
