// Rows of an index, in immutable blocks: a row never moves once it is written, so a search reads them without a lock
// while others are appended.
#ifndef FLATRANK_INDEX_BLOCK_H_
#define FLATRANK_INDEX_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/aligned_array.h"
#include "core/mappable_array.h"
#include "core/mapped_file.h"
#include "index/block_codes.h"
#include "index/row_checks.h"

namespace flatrank {

class Block {
 public:
  // An empty block with room for `row_capacity` rows.
  Block(size_t row_capacity, size_t dimension);
  // A full block over the rows that lie in `file` at `offset`. Throws Error(kBadFile) where they do not.
  Block(std::shared_ptr<const MappedFile> file, uint64_t offset, size_t rows, size_t dimension);
  // The same with what is measured of the rows (rows) given.
  Block(std::shared_ptr<const MappedFile> file, uint64_t offset, size_t rows, size_t dimension,
        MappableArray<float> low, MappableArray<float> high);

  size_t capacity() const { return capacity_; }
  bool mapped() const { return file_ != nullptr; }
  // Of the mapped file.
  const std::string& path() const { return file_->path(); }
  // Bytes of memory held for rows, what is measured of them and, where `coded`, codes; a mapped file's are not counted.
  size_t bytes(bool coded) const;

  // Where rows are written. Only for blocks that are not mapped.
  float* rows_to_write() { return owned_->data(); }

  // Rows [begin, begin + count), held against their checksums where there are any: in place where they lie aligned,
  // else copied to scratch (count, dimension).
  const float* Rows(size_t begin, size_t count, float* scratch) const {
    const std::byte* at = rows_ + begin * dimension_ * sizeof(float);
    if (checks) checks->Check(begin, count, at, dimension_ * sizeof(float));
    if (aligned_) return reinterpret_cast<const float*>(at);
    std::memcpy(scratch, at, count * dimension_ * sizeof(float));
    return scratch;
  }
  bool aligned() const { return aligned_; }
  void PrefetchRow(size_t row) const {
    const std::byte* at = rows_ + row * dimension_ * sizeof(float);
    for (size_t i = 0; i < dimension_ * sizeof(float); i += 64) __builtin_prefetch(at + i);
  }
  // Only as far as L2, which waits for more lines at once than L1 does.
  void PrefetchRowToL2(size_t row) const {
    const std::byte* at = rows_ + row * dimension_ * sizeof(float);
    for (size_t i = 0; i < dimension_ * sizeof(float); i += 64) __builtin_prefetch(at + i, 0, 2);
  }

  MappableArray<float> norm2_low;  // (capacity) |x|^2, rounded down
  MappableArray<float> norm_high;  // (capacity) |x|, rounded up
  // Codes of the leading rows; made when there are enough rows to centre them.
  std::unique_ptr<BlockCodes> codes;
  // What the rows of a file have to be; none unless it was told.
  std::unique_ptr<const RowChecks> checks;

 private:
  const size_t dimension_;
  const size_t capacity_;
  const std::unique_ptr<AlignedArray<float>> owned_;
  const std::shared_ptr<const MappedFile> file_;
  const std::byte* const rows_;  // (capacity, dimension) floats, row-major
  const bool aligned_;
};

// What one search sees of a block. Numbers that later additions change are copied here, under the index's lock.
struct Part {
  std::shared_ptr<const Block> block;
  size_t first = 0;  // label of the block's row 0
  size_t rows = 0;
  size_t coded = 0;      // leading rows that have codes, a multiple of kPanelRows
  double max_norm2 = 0;  // at least the largest |x|^2
  CodeStats stats;       // of the coded rows
};

// What one search sees: the rows committed when it was asked for.
struct Snapshot {
  std::vector<Part> parts;  // ascending by `first`, without gaps
  size_t rows = 0;

  // The part that holds the row with this label.
  const Part& PartOf(size_t label) const;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_BLOCK_H_
