#include "index/block.h"

#include <algorithm>
#include <iterator>

namespace flatrank {

Block::Block(size_t row_capacity, size_t dimension)
    : norm2_low(row_capacity),
      norm_high(row_capacity),
      dimension_(dimension),
      capacity_(row_capacity),
      owned_(std::make_unique<AlignedArray<float>>(row_capacity * dimension)),
      rows_(reinterpret_cast<const std::byte*>(owned_->data())),
      aligned_(true) {}

Block::Block(std::shared_ptr<const MappedFile> file, uint64_t offset, size_t rows, size_t dimension)
    : norm2_low(rows),
      norm_high(rows),
      dimension_(dimension),
      capacity_(rows),
      file_(std::move(file)),
      rows_(file_->Range(offset, rows, dimension * sizeof(float))),
      aligned_(reinterpret_cast<uintptr_t>(rows_) % alignof(float) == 0) {}

Block::Block(std::shared_ptr<const MappedFile> file, uint64_t offset, size_t rows, size_t dimension,
             MappableArray<float> low, MappableArray<float> high)
    : norm2_low(std::move(low)),
      norm_high(std::move(high)),
      dimension_(dimension),
      capacity_(rows),
      file_(std::move(file)),
      rows_(file_->Range(offset, rows, dimension * sizeof(float))),
      aligned_(reinterpret_cast<uintptr_t>(rows_) % alignof(float) == 0) {}

size_t Block::bytes(bool coded) const {
  size_t bytes = norm2_low.bytes() + norm_high.bytes();
  if (owned_) bytes += capacity_ * dimension_ * sizeof(float);
  if (coded) bytes += codes->bytes();
  return bytes;
}

const Part& Snapshot::PartOf(size_t label) const {
  return *std::prev(
      std::upper_bound(parts.begin(), parts.end(), label, [](size_t row, const Part& p) { return row < p.first; }));
}

}  // namespace flatrank
