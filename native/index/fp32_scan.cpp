#include "index/fp32_scan.h"

#include <algorithm>

namespace flatrank {

namespace {

constexpr size_t kMaxPanel = 126;                  // a multiple of every table's register tile
constexpr size_t kPanelBytes = size_t{192} << 10;  // half of the smallest L2 cache in use
constexpr size_t kTileRows = 32;
constexpr size_t kKeys = kMaxPanel * kTileRows;  // scratch on the stack, in L1
constexpr size_t kMaxTileRows = 256;

// With up to this many queries the scan waits for memory, so the dearer but far tighter form costs nothing.
constexpr size_t kMemoryBound = 2;
// Refinements a query may cost before its bounds count as too wide.
constexpr size_t kPatience = 512;

// select() works in fp32 with at most 6 roundings of terms that are at most |x|^2 and 2 |x| |q| each; the rules give
// that much away (16 u of each), so that it never excludes what the exact bound would keep.
constexpr double kRuleSlack = 0x1p-20;

}  // namespace

Fp32Scan::Fp32Scan(const Queries& queries, double max_norm2)
    : queries_(queries), kernels_(ActiveKernels()), error_(queries.dimension, kernels_.lanes), norms_(queries.count) {
  for (size_t j = 0; j < queries.count; ++j) {
    const double norm2 = kernels_.exact_dot(queries.row(j), queries.row(j), queries.dimension);
    QueryNorm& norm = norms_[j];
    norm.low2 = norm2 * (1 - error_.fp64_error);
    norm.high2 = norm2 * (1 + error_.fp64_error);
    norm.high = std::sqrt(norm.high2) * (1 + error_.fp64_error);
    norm.safe = std::max(norm2, max_norm2) <= kMaxNorm2;
    all_safe_ = all_safe_ && norm.safe;
  }
}

size_t Fp32Scan::QueryPanel() const {
  const size_t fitting = kPanelBytes / (queries_.dimension * sizeof(float));
  return std::clamp(fitting / 6 * 6, size_t{6}, kMaxPanel);
}

SelectRule Fp32Scan::RuleFor(Form form, const QueryNorm& norm, double threshold) const {
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

Candidate Fp32Scan::CandidateFor(Form form, float key, const QueryNorm& norm, const Block& block, size_t row) const {
  const double s = static_cast<double>(key);
  const double norm_high = static_cast<double>(block.norm_high.data()[row]);
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
      lower = static_cast<double>(block.norm2_low.data()[row]) + norm.low2 - 2 * s - error;
      upper = high2 + norm.high2 - 2 * s + error;
    }
  }
  return {lower, upper, block.rows.data() + row * queries_.dimension, static_cast<int32_t>(block.first + row), false};
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
void Fp32Scan::RefineAll(const Block& block, size_t begin, size_t end, size_t query, Candidates& collector) const {
  const Refiner refiner = queries_.refiner(query);
  for (size_t row = begin; row < end; ++row) {
    Candidate candidate{0, 0, block.rows.data() + row * queries_.dimension, static_cast<int32_t>(block.first + row),
                        false};
    refiner.Refine(candidate);
    if (candidate.lower <= collector.threshold()) collector.Push(candidate, refiner);
  }
}

void Fp32Scan::Run(const Block& block, size_t begin, size_t end, size_t first, size_t count,
                   Candidates* collectors) const {
  if (!all_safe_) {
    for (size_t j = 0; j < count; ++j) RefineAll(block, begin, end, first + j, collectors[j]);
    return;
  }
  const size_t d = queries_.dimension;
  const Form form = FormFor(collectors, count);
  const auto tile = form == Form::kDots ? kernels_.dot_tile : kernels_.l2_tile;
  const size_t tile_rows = std::min(kMaxTileRows, kKeys / count / kTileRows * kTileRows);

  alignas(64) float keys[kKeys];
  uint32_t hits[kMaxTileRows];
  SelectRule rules[kMaxPanel];
  for (size_t j = 0; j < count; ++j) rules[j] = RuleFor(form, norms_[first + j], collectors[j].threshold());

  for (size_t top = begin; top < end; top += tile_rows) {
    const size_t rows = std::min(tile_rows, end - top);
    tile(block.rows.data() + top * d, rows, queries_.row(first), count, d, keys, tile_rows);
    for (size_t j = 0; j < count; ++j) {
      const float* key = keys + j * tile_rows;
      const size_t found =
          kernels_.select(key, block.norm2_low.data() + top, block.norm_high.data() + top, rows, rules[j], hits);
      if (found == 0) continue;
      const Refiner refiner = queries_.refiner(first + j);
      const double before = collectors[j].threshold();
      for (size_t i = 0; i < found; ++i) {
        const Candidate candidate = CandidateFor(form, key[hits[i]], norms_[first + j], block, top + hits[i]);
        if (candidate.lower <= collectors[j].threshold()) collectors[j].Push(candidate, refiner);
      }
      if (collectors[j].threshold() < before) rules[j] = RuleFor(form, norms_[first + j], collectors[j].threshold());
    }
  }
}

}  // namespace flatrank
