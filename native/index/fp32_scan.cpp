#include "index/fp32_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace flatrank {

namespace {

constexpr size_t kTileQueries = 6;  // a multiple of every table's register tile
constexpr size_t kMaxPanel = 21 * kTileQueries;
constexpr size_t kPanelBytes = size_t{192} << 10;  // half of the smallest L2 cache in use
constexpr size_t kTileRows = 32;
constexpr size_t kKeys = kMaxPanel * kTileRows;  // in L1
constexpr size_t kMaxTileRows = 256;
constexpr size_t kSeedRows = 512, kMostSeedRows = 2048;  // met at once where nothing is known yet, by k
constexpr size_t kSeedKeys = kMaxPanel * kSeedRows;      // of so many rows and queries at once: in L2
constexpr size_t kScratchValues = size_t{1} << 18;       // of rows that have to be copied to be aligned

constexpr size_t kScatteredValues = size_t{6} << 10;  // of rows that lie apart: they stay in L1
constexpr size_t kScatteredRows = 64;
constexpr size_t kRowsAhead = 8;  // on their way from memory

// With up to this many queries the scan waits for memory, so the dearer but far tighter form costs nothing.
constexpr size_t kMemoryBound = 2;
// Refinements a query may cost before its bounds count as too wide.
constexpr size_t kPatience = 512;

// select() works in fp32 with at most 6 roundings of terms that are at most |x|^2 and 2 |x| |q| each; the rules give
// that much away (16 u of each), so that it never excludes what the exact bound would keep.
constexpr double kRuleSlack = 0x1p-20;

size_t SeedRows(size_t k) { return std::clamp(16 * std::min(k, kMostSeedRows), kSeedRows, kMostSeedRows); }

// A value that at least k of the n values do not exceed, and not many more. Halving what is in question takes a dozen
// passes over values in L1, which costs less than any selection that moves them.
float CutOf(const float* values, size_t n, size_t k) {
  constexpr size_t kLanes = 16;  // side by side, as the compiler does not reorder comparisons of floats
  float least[kLanes], most[kLanes];
  for (size_t l = 0; l < kLanes; ++l) least[l] = most[l] = values[0];
  for (size_t i = 0; i < n; i += kLanes) {
    const float* const some = values + std::min(i, n < kLanes ? 0 : n - kLanes);
    for (size_t l = 0; l < std::min(n, kLanes); ++l) {
      least[l] = some[l] < least[l] ? some[l] : least[l];
      most[l] = some[l] > most[l] ? some[l] : most[l];
    }
  }
  float low = *std::min_element(least, least + kLanes), high = *std::max_element(most, most + kLanes);
  for (int step = 0; step < 24; ++step) {
    const float middle = low / 2 + high / 2;
    int32_t counted = 0;
    for (size_t i = 0; i < n; ++i) counted += values[i] <= middle;
    const size_t count = static_cast<size_t>(counted);
    (count < k ? low : high) = middle;
    if (count >= k && count <= k + k / 8) break;
  }
  return high;
}

}  // namespace

Fp32Scan::Fp32Scan(const Queries& queries, int slots)
    : queries_(queries),
      kernels_(ActiveKernels()),
      error_(queries.dimension, kernels_.lanes),
      norms_(queries.count),
      scratch_(static_cast<size_t>(slots)),
      keys_(static_cast<size_t>(slots)) {
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
  return std::clamp(fitting / kTileQueries * kTileQueries, kTileQueries, kMaxPanel);
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

// One way of rows past some queries.
class Fp32Scan::Pass {
 public:
  Pass(const Fp32Scan& scan, const Part& part, size_t first, size_t count, Candidates* collectors, float* keys,
       float* row_scratch)
      : keys_(keys),
        scan_(scan),
        part_(part),
        first_(first),
        count_(count),
        collectors_(collectors),
        row_scratch_(row_scratch),
        form_(scan.FormFor(collectors, count)) {
    for (size_t j = 0; j < count; ++j)
      rules_[j] = scan.RuleFor(form_, scan.norms_[first + j], collectors[j].threshold());
  }

  // Whether what is measured of rows is looked at.
  bool UsesNorms() const { return form_ == Form::kDots; }

  // How many rows are to be met in a large first tile, where nothing is known that would exclude some; else none.
  size_t Seeds() const {
    const Candidates& collector = collectors_[0];
    if (scan_.queries_.selection != nullptr || collector.threshold() != Candidates::kNone) return 0;
    return collector.k() <= kMostSeedRows / 2 ? SeedRows(collector.k()) : 0;
  }

  // rows (taken, d) with what is measured of them; row_of(i) is the row of the part that row i is.
  template <typename RowOf>
  void Take(const float* rows, const float* norm2_low, const float* norm_high, size_t taken, RowOf row_of) {
    const Queries& queries = scan_.queries_;
    const auto tile = form_ == Form::kDots ? scan_.kernels_.dot_tile : scan_.kernels_.l2_tile;
    const bool seeds = Seeds() > 0;
    const size_t at_once = std::min(count_, kSeedKeys / taken / kTileQueries * kTileQueries);
    for (size_t j = 0; j < count_; ++j) {
      if (j % at_once == 0)
        tile(rows, taken, queries.row(first_ + j), std::min(at_once, count_ - j), queries.dimension, keys_, taken);
      const float* key = keys_ + j % at_once * taken;
      if (seeds) Seed(j, key, norm2_low, taken, row_of(0));
      const size_t found = scan_.kernels_.select(key, norm2_low, norm_high, taken, rules_[j], hits_);
      if (found == 0) continue;
      const QueryNorm& norm = scan_.norms_[first_ + j];
      Candidates& collector = collectors_[j];
      const Refiner refiner = queries.refiner(first_ + j, row_scratch_);
      const float before = collector.threshold();
      for (size_t i = 0; i < found; ++i) {
        const size_t row = row_of(hits_[i]);
        if (!queries.Wants(part_.first + row)) continue;
        const Interval interval = scan_.IntervalFor(form_, key[hits_[i]], norm, part_, row);
        if (interval.lower <= collector.threshold()) collector.Push(interval, refiner);
      }
      if (collector.threshold() < before) rules_[j] = scan_.RuleFor(form_, norm, collector.threshold());
    }
  }

 private:
  // No row beyond what k of these, about the nearest by their scanned keys, cannot exceed.
  void Seed(size_t j, const float* key, const float* norm2_low, size_t taken, size_t top) {
    Candidates& collector = collectors_[j];
    if (collector.threshold() != Candidates::kNone || collector.k() > taken / 2) return;
    SelectRule& rule = rules_[j];
    const QueryNorm& norm = scan_.norms_[first_ + j];
    float values[kMostSeedRows];
    for (size_t i = 0; i < taken; ++i)
      values[i] = rule.key_weight * key[i] + (rule.norm2_weight == 0 ? 0 : rule.norm2_weight * norm2_low[i]);
    const float cut = CutOf(values, taken, collector.k());
    float largest = -Candidates::kNone;
    size_t count = 0;
    for (size_t i = 0; i < taken; ++i) {
      if (!(values[i] <= cut)) continue;
      largest = std::max(largest, scan_.IntervalFor(form_, key[i], norm, part_, top + i).upper);
      ++count;
    }
    if (count < collector.k()) return;  // some were not finite
    collector.Lower(largest);
    rule = scan_.RuleFor(form_, norm, collector.threshold());
  }

  float* const keys_;
  const Fp32Scan& scan_;
  const Part& part_;
  const size_t first_, count_;
  Candidates* const collectors_;
  float* const row_scratch_;
  const Form form_;
  uint32_t hits_[kMostSeedRows];
  SelectRule rules_[kMaxPanel];
};

void Fp32Scan::Run(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot) {
  const Part& part = *rows.part;
  const Block& block = *part.block;
  const size_t d = queries_.dimension;
  size_t tile_rows = std::min(kMaxTileRows, kKeys / count / kTileRows * kTileRows);
  std::vector<float>& scratch = scratch_[static_cast<size_t>(slot)];
  if (!block.aligned()) {
    tile_rows = std::min(tile_rows, kScratchValues / d + 1);
    scratch.resize((tile_rows + 1) * d);
  }
  float* const row_scratch = scratch.data() + (block.aligned() ? 0 : tile_rows * d);
  if (Overflows(part)) {
    for (size_t j = 0; j < count; ++j) RefineAll(rows, first + j, collectors[j], row_scratch);
    return;
  }
  std::vector<float>& keys = keys_[static_cast<size_t>(slot)];
  keys.resize(std::max(kKeys, std::min(count * kMostSeedRows, kSeedKeys)));
  Pass pass(*this, part, first, count, collectors, keys.data(), row_scratch);
  for (size_t top = rows.begin, taken; top < rows.end; top += taken) {
    taken = std::min(std::max(block.aligned() ? pass.Seeds() : 0, tile_rows), rows.end - top);
    pass.Take(block.Rows(top, taken, scratch.data()), block.norm2_low.data() + top, block.norm_high.data() + top, taken,
              [top](size_t i) { return top + i; });
  }
}

// Rows that lie apart come from memory one by one: several are on their way at once.
void Fp32Scan::RunScattered(const Part& part, const uint32_t* rows, size_t n, size_t first, size_t count,
                            Candidates* collectors, int slot) {
  const Block& block = *part.block;
  const size_t d = queries_.dimension;
  const size_t at_once = std::clamp(kScatteredValues / d, size_t{1}, std::min(kScatteredRows, kKeys / count));
  std::vector<float>& scratch = scratch_[static_cast<size_t>(slot)];
  scratch.resize(std::max(scratch.size(), (at_once + 1) * d));
  float* const row_scratch = scratch.data() + at_once * d;
  if (Overflows(part)) {
    for (size_t j = 0; j < count; ++j)
      for (size_t i = 0; i < n; ++i) RefineAll({&part, rows[i], rows[i] + 1}, first + j, collectors[j], row_scratch);
    return;
  }
  float low[kScatteredRows] = {}, high[kScatteredRows] = {};
  std::vector<float>& keys = keys_[static_cast<size_t>(slot)];
  keys.resize(std::max(keys.size(), kKeys));
  Pass pass(*this, part, first, count, collectors, keys.data(), row_scratch);
  for (size_t i = 0; i < std::min(n, kRowsAhead); ++i) block.PrefetchRowToL2(rows[i]);
  for (size_t top = 0; top < n; top += at_once) {
    const size_t taken = std::min(at_once, n - top);
    for (size_t i = 0; i < taken; ++i) {
      if (top + i + kRowsAhead < n) block.PrefetchRowToL2(rows[top + i + kRowsAhead]);
      const size_t row = rows[top + i];
      float* const to = scratch.data() + i * d;
      const float* const from = block.Rows(row, 1, to);
      if (from != to) std::memcpy(to, from, d * sizeof(float));
      if (!pass.UsesNorms()) continue;
      low[i] = block.norm2_low.data()[row];
      high[i] = block.norm_high.data()[row];
    }
    pass.Take(scratch.data(), low, high, taken, [rows, top](size_t i) { return size_t{rows[top + i]}; });
  }
}

}  // namespace flatrank
