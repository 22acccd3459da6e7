#include "index/fp32_scan.h"

#include <algorithm>
#include <cmath>

namespace flatrank {

namespace {

constexpr size_t kMaxPanel = 126;                  // a multiple of every table's register tile
constexpr size_t kPanelBytes = size_t{192} << 10;  // half of the smallest L2 cache in use
constexpr size_t kTileRows = 32;
constexpr size_t kKeys = kMaxPanel * kTileRows;  // scratch on the stack, in L1
constexpr size_t kMaxTileRows = 256;
constexpr size_t kScratchValues = size_t{1} << 18;  // of rows that have to be copied to be aligned

// With up to this many queries the scan waits for memory, so the dearer but far tighter form costs nothing.
constexpr size_t kMemoryBound = 2;
// Refinements a query may cost before its bounds count as too wide.
constexpr size_t kPatience = 512;

// select() works in fp32 with at most 6 roundings of terms that are at most |x|^2 and 2 |x| |q| each; the rules give
// that much away (16 u of each), so that it never excludes what the exact bound would keep.
constexpr double kRuleSlack = 0x1p-20;

}  // namespace

Fp32Scan::Fp32Scan(const Queries& queries, int slots)
    : queries_(queries),
      kernels_(ActiveKernels()),
      error_(queries.dimension, kernels_.lanes),
      norms_(queries.count),
      scratch_(static_cast<size_t>(slots)) {
  for (size_t j = 0; j < queries.count; ++j) {
    const double norm2 = kernels_.exact_dot(queries.row(j), queries.row(j), queries.dimension);
    QueryNorm& norm = norms_[j];
    norm.low2 = norm2 * (1 - error_.fp64_error);
    norm.high2 = norm2 * (1 + error_.fp64_error);
    norm.high = std::sqrt(norm.high2) * (1 + error_.fp64_error);
    largest_norm2_ = std::max(largest_norm2_, norm2);
  }
}

size_t Fp32Scan::QueryPanel() const {
  const size_t fitting = kPanelBytes / (queries_.dimension * sizeof(float));
  return std::clamp(fitting / 6 * 6, size_t{6}, kMaxPanel);
}

SelectRule Fp32Scan::RuleFor(Form form, const QueryNorm& norm, float bound) const {
  const double threshold = static_cast<double>(bound);
  if (form == Form::kDifferences) {
    const double weight = (1 - kRuleSlack) / (1 + error_.difference_error);
    return {static_cast<float>(weight), 0, 0, RoundUp(threshold + error_.tiny)};
  }
  if (queries_.metric == Metric::kInnerProduct)
    return {-1, 0, RoundUp((error_.dot_error + kRuleSlack) * norm.high), RoundUp(threshold + error_.tiny)};
  return {-2, static_cast<float>(1 - kRuleSlack - error_.fp64_error),
          RoundUp(2 * (error_.dot_error + kRuleSlack) * norm.high),
          RoundUp(threshold - norm.low2 + error_.fp64_error * (norm.high2 + std::abs(threshold)) + error_.tiny)};
}

Interval Fp32Scan::IntervalFor(Form form, float key, const QueryNorm& norm, const Part& part, size_t row) const {
  const double s = static_cast<double>(key);
  const double norm_high = static_cast<double>(part.block->norm_high.data()[row]);
  double lower, upper;
  if (form == Form::kDifferences) {
    lower = s / (1 + error_.difference_error) - error_.tiny;
    upper = s / (1 - error_.difference_error) + error_.tiny;
  } else {
    const double dot_error = error_.dot_error * norm_high * norm.high + error_.tiny;
    if (queries_.metric == Metric::kInnerProduct) {
      lower = -s - dot_error;
      upper = -s + dot_error;
    } else {
      const double high2 = norm_high * norm_high;
      const double error = 2 * dot_error + error_.fp64_error * (high2 + norm.high2);
      lower = static_cast<double>(part.block->norm2_low.data()[row]) + norm.low2 - 2 * s - error;
      upper = high2 + norm.high2 - 2 * s + error;
    }
  }
  return {RoundDown(lower), RoundUp(upper), static_cast<uint32_t>(part.first + row)};
}

// Expanding |x - q|^2 cancels where rows and query lie close together and far from the origin; the intervals are then
// wide, which shows as rows that had to be refined. From there on the differences are worth their price.
Fp32Scan::Form Fp32Scan::FormFor(const Candidates* collectors, size_t count) const {
  if (queries_.metric == Metric::kInnerProduct) return Form::kDots;
  if (count <= kMemoryBound) return Form::kDifferences;
  size_t refined = 0;
  for (size_t j = 0; j < count; ++j) refined += collectors[j].refined();
  return refined > kPatience * count ? Form::kDifferences : Form::kDots;
}

// Beyond the range in which the bounds hold, every row is given its defined key.
void Fp32Scan::RefineAll(const RowRange& rows, size_t query, Candidates& collector, float* scratch) const {
  const Refiner refiner = queries_.refiner(query, scratch);
  for (size_t row = rows.begin; row < rows.end; ++row) {
    const size_t label = rows.part->first + row;
    if (!queries_.Wants(label)) continue;
    const double key = refiner.KeyOf(rows.part->block->Rows(row, 1, scratch));
    if (RoundDown(key) <= collector.threshold()) collector.PushExact({key, static_cast<uint32_t>(label)});
  }
}

void Fp32Scan::Run(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot) {
  const Part& part = *rows.part;
  const Block& block = *part.block;
  const size_t d = queries_.dimension;
  const Form form = FormFor(collectors, count);
  const auto tile = form == Form::kDots ? kernels_.dot_tile : kernels_.l2_tile;
  size_t tile_rows = std::min(kMaxTileRows, kKeys / count / kTileRows * kTileRows);
  std::vector<float>& scratch = scratch_[static_cast<size_t>(slot)];
  if (!block.aligned()) {
    tile_rows = std::min(tile_rows, kScratchValues / d + 1);
    scratch.resize((tile_rows + 1) * d);
  }
  float* const row_scratch = scratch.data() + (block.aligned() ? 0 : tile_rows * d);
  if (std::max(largest_norm2_, part.max_norm2) > kMaxNorm2) {
    for (size_t j = 0; j < count; ++j) RefineAll(rows, first + j, collectors[j], row_scratch);
    return;
  }

  alignas(64) float keys[kKeys];
  uint32_t hits[kMaxTileRows];
  SelectRule rules[kMaxPanel];
  for (size_t j = 0; j < count; ++j) rules[j] = RuleFor(form, norms_[first + j], collectors[j].threshold());

  for (size_t top = rows.begin; top < rows.end; top += tile_rows) {
    const size_t taken = std::min(tile_rows, rows.end - top);
    tile(block.Rows(top, taken, scratch.data()), taken, queries_.row(first), count, d, keys, tile_rows);
    for (size_t j = 0; j < count; ++j) {
      const float* key = keys + j * tile_rows;
      const size_t found =
          kernels_.select(key, block.norm2_low.data() + top, block.norm_high.data() + top, taken, rules[j], hits);
      if (found == 0) continue;
      const Refiner refiner = queries_.refiner(first + j, row_scratch);
      const float before = collectors[j].threshold();
      for (size_t i = 0; i < found; ++i) {
        if (!queries_.Wants(part.first + top + hits[i])) continue;
        const Interval row = IntervalFor(form, key[hits[i]], norms_[first + j], part, top + hits[i]);
        if (row.lower <= collectors[j].threshold()) collectors[j].Push(row, refiner);
      }
      if (collectors[j].threshold() < before) rules[j] = RuleFor(form, norms_[first + j], collectors[j].threshold());
    }
  }
}

}  // namespace flatrank
