#include "index/row_checks.h"

#include "core/crc32.h"
#include "core/error.h"

namespace flatrank {

void RowChecks::CheckRow(size_t row, const std::byte* at, size_t row_bytes) const {
  if (Crc32(at, row_bytes) != sums_[row])
    throw Error(kBadFile,
                "Expected " + path_ + " to hold row " + std::to_string(row) + " undamaged but received other bytes");
  checked_[row / 64].fetch_or(uint64_t{1} << (row % 64), std::memory_order_relaxed);
}

}  // namespace flatrank
