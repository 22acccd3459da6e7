#ifndef FLATRANK_INDEX_ROW_CHECKS_H_
#define FLATRANK_INDEX_ROW_CHECKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace flatrank {

// Holds the rows of a file against their CRC-32s, each when it is first looked at. Any number of threads at once.
class RowChecks {
 public:
  RowChecks(std::string path, std::vector<uint32_t> sums)
      : path_(std::move(path)), sums_(std::move(sums)), checked_((sums_.size() + 63) / 64) {}

  // Checks rows [begin, begin + count) that lie at `rows`. Throws Error(kBadFile) that names file and row.
  void Check(size_t begin, size_t count, const std::byte* rows, size_t row_bytes) const {
    for (size_t row = begin; row < begin + count; ++row)
      if (((checked_[row / 64].load(std::memory_order_relaxed) >> (row % 64)) & 1) == 0)
        CheckRow(row, rows + (row - begin) * row_bytes, row_bytes);
  }

 private:
  void CheckRow(size_t row, const std::byte* at, size_t row_bytes) const;

  const std::string path_;
  const std::vector<uint32_t> sums_;
  mutable std::vector<std::atomic<uint64_t>> checked_;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_ROW_CHECKS_H_
