#ifndef FLATRANK_INDEX_BLOCK_CODES_H_
#define FLATRANK_INDEX_BLOCK_CODES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/mappable_array.h"
#include "index/code_bounds.h"
#include "index/code_rule.h"
#include "index/metric.h"
#include "index/row_checks.h"
#include "kernels/codes.h"
#include "kernels/kernels.h"

namespace flatrank {

// How the rows of one index are coded: the same rotation for all of its blocks.
struct CodeSpace {
  // Codes of blocks with fewer rows than this do not pay: what they save is less than what coding a query costs.
  static size_t UsualLeastRows(size_t d);

  CodeSpace(size_t d, Metric m, size_t least);
  CodeSpace(size_t d, Metric m) : CodeSpace(d, m, UsualLeastRows(d)) {}

  size_t steps() const { return padded / kStepValues; }
  size_t panel_bytes() const { return PanelBytes(steps()); }
  size_t row_bytes() const { return RowBytes(steps()); }
  void Rotate(const float* x, const float* centre, float* out, float* scratch) const {
    kernels.codes->rotate(x, centre, dimension, signs.data(), padded, out, scratch);
  }

  const Kernels& kernels;
  const Metric metric;
  const size_t dimension;
  const size_t padded;
  const size_t least_rows;  // a block with fewer is left without codes
  const CodeError error;
  std::vector<float> signs;  // (2, padded): see CodeKernels::rotate
};

// What queries have to know about all coded rows of a block.
struct CodeStats {
  double lane_norm2 = 0;  // the largest sum of squared codes in one partial sum (CodeKernels::bias_steps)

  void Include(const CodeStats& other) { lane_norm2 = lane_norm2 > other.lane_norm2 ? lane_norm2 : other.lane_norm2; }
};

// The codes of a block's rows, in panels, around the block's own centre.
class BlockCodes {
 public:
  // centre (dimension). Room for `capacity` rows.
  BlockCodes(const CodeSpace& space, size_t capacity, std::vector<float> centre);

  // The same with codes that were made before, of whole panels.
  BlockCodes(const CodeSpace& space, MappableArray<uint8_t> panels, std::vector<float> centre);

  // Codes the rows (kPanelRows, dimension) of one panel. norm_high (kPanelRows) is at least |x|.
  CodeStats Encode(const CodeSpace& space, size_t panel, const float* rows, const float* norm_high);

  const uint8_t* panel(size_t i) const { return panels_.data() + i * panel_bytes_; }
  const PanelTerms& terms(size_t i) const {
    return *reinterpret_cast<const PanelTerms*>(panel(i) + panel_bytes_ - sizeof(PanelTerms));
  }
  // The codes row by row as well, where a file has them: a row that lies apart is then a fetch from one place.
  bool by_row() const { return rows_ != nullptr; }
  // Held against its checksum where there is one. Throws Error(kBadFile).
  const uint8_t* row(size_t i) const {
    const uint8_t* at = rows_ + i * row_bytes_;
    if (row_checks_) row_checks_->Check(i, 1, reinterpret_cast<const std::byte*>(at), row_bytes_);
    return at;
  }
  void PrefetchRow(size_t i) const {
    const uint8_t* at = rows_ + i * row_bytes_;
    for (size_t j = 0; j < row_bytes_ + 63; j += 64) __builtin_prefetch(at + j, 0, 2);
  }
  // Takes the codes of the leading `count` rows from a file. Throws Error(kBadFile) where it is shorter.
  void MapRows(std::shared_ptr<const MappedFile> file, size_t count);
  // The CRC-32 of each of those rows. Throws Error(kInvalidArgument) for another number.
  void ExpectRowChecksums(std::vector<uint32_t> sums);

  // What the rows have to know of the query q, which `encoded` stands for after its rotation; max_norm2 is at least
  // |x|^2 of all of them.
  QueryTerms MeasureQuery(const CodeSpace& space, const float* q, const Encoded& encoded, double max_norm2) const;

  const float* centre() const { return centre_.data(); }
  double centre_norm2() const { return centre_norm2_; }
  size_t bytes() const { return panels_.bytes() + centre_.size() * sizeof(float); }

 private:
  const size_t panel_bytes_, row_bytes_;
  const std::vector<float> centre_;
  const double centre_norm2_;  // |c|^2 by exact_dot
  MappableArray<uint8_t> panels_;
  std::shared_ptr<const MappedFile> rows_file_;
  const uint8_t* rows_ = nullptr;  // in rows_file_
  size_t row_count_ = 0;
  std::unique_ptr<const RowChecks> row_checks_;
};

// Groups the codes of `count` queries (count, padded) as CodeQueries has them.
void PlaceQueries(const CodeKernels& coder, const int8_t* codes, size_t count, size_t padded,
                  std::vector<int32_t>& placed, std::vector<int32_t>& bias);

}  // namespace flatrank

#endif  // FLATRANK_INDEX_BLOCK_CODES_H_
