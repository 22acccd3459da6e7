#include "index/int8_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace flatrank {

namespace {

constexpr size_t kMaxPanel = 256;
constexpr size_t kPanelBytes = size_t{256} << 10;  // query codes: they stay in the L2 cache
constexpr size_t kHits = 8192;                     // queries times rows of one call of a kernel, at least two panels
constexpr size_t kFewHits = 64;                    // rows scanned to one that survives
constexpr size_t kLeastRows = 8;                   // fewer are quicker done without codes
constexpr size_t kApartPanels = 2;                 // of rows that lie apart, put together at once
constexpr size_t kRowsAhead = 16;                  // of them on their way from memory

// Nanoseconds a value, by rule of thumb: what codes save where arithmetic and where memory is the limit, and what a row
// that survives costs. Only speed depends on them.
constexpr double kSavedArithmetic = 0.015, kSavedMemory = 0.1, kHitCost = 40, kHitCostPerValue = 0.035;

}  // namespace

Int8Scan::Int8Scan(const Queries& queries, const CodeSpace& space, size_t k, int slots)
    : queries_(queries),
      space_(space),
      coder_(*space.kernels.codes),
      dot_factor_(DotFactor(queries.metric)),
      fp32_(queries, slots),
      slots_(static_cast<size_t>(slots)) {
  // Finding the first threshold costs a query some rows. Where nearly every row is wanted there is nothing to exclude.
  const size_t free_hits = queries.count * (512 + 8 * std::min(k, queries.snapshot->rows));
  balance_ = k > queries.snapshot->rows / 16 ? -1 : static_cast<int64_t>(static_cast<double>(free_hits) * HitCost());
}

double Int8Scan::HitCost() const { return kHitCost + kHitCostPerValue * static_cast<double>(queries_.dimension); }

size_t Int8Scan::QueryPanel() const { return std::clamp(kPanelBytes / space_.padded, size_t{16}, kMaxPanel); }

QueryTerms Int8Scan::PrepareQuery(const Part& part, size_t query, Slot& slot, int8_t* codes) const {
  const BlockCodes& block = *part.block->codes;
  const size_t padded = space_.padded;
  const float* q = queries_.row(query);

  slot.scratch.resize(2 * padded);
  space_.Rotate(q, block.centre(), slot.scratch.data(), slot.scratch.data() + padded);
  const Encoded encoded = coder_.encode_query(slot.scratch.data(), padded, part.stats.lane_norm2, codes);

  return block.MeasureQuery(space_, q, encoded, part.max_norm2);
}

const Int8Scan::Prepared& Int8Scan::Prepare(const Part& part, size_t first, size_t count, Slot& slot) const {
  Prepared& prepared = slot.prepared;
  if (prepared.part == &part && prepared.first == first && prepared.count == count) return prepared;
  prepared.part = nullptr;
  prepared.terms.resize(count);
  prepared.safe = true;
  slot.codes.resize(count * space_.padded);
  for (size_t j = 0; j < count; ++j) {
    prepared.terms[j] = PrepareQuery(part, first + j, slot, slot.codes.data() + j * space_.padded);
    prepared.safe = prepared.safe && prepared.terms[j].safe;
  }
  PlaceQueries(coder_, slot.codes.data(), count, space_.padded, prepared.codes, prepared.bias);
  prepared.first = first;
  prepared.count = count;
  prepared.part = &part;
  return prepared;
}

void Int8Scan::MakeRules(size_t first, size_t count, Candidates* collectors, Slot& slot) const {
  slot.scratch.resize(std::max(slot.scratch.size(), queries_.dimension));
  slot.rules.resize(count);
  for (size_t j = 0; j < count; ++j) {
    collectors[j].Tighten(queries_.refiner(first + j, slot.scratch.data()));
    slot.rules[j] = RuleFor(slot.prepared.terms[j], dot_factor_, collectors[j].threshold());
  }
}

// A row that the rule did not exclude.
void Int8Scan::Keep(const CodeHit& hit, const PanelTerms& panel, size_t label, size_t first, Candidates* collectors,
                    Slot& slot) const {
  Candidates& collector = collectors[hit.query];
  const float before = collector.threshold();
  const QueryTerms& terms = slot.prepared.terms[hit.query];
  const size_t r = hit.row % kPanelRows;
  const Bounds bounds =
      BoundsFor(terms, {panel.offset[r], panel.scale[r], panel.norm[r], panel.residual[r]}, dot_factor_, hit.dot);
  if (bounds.lower > before) return;
  collector.Push({bounds.lower, bounds.upper, static_cast<uint32_t>(label)},
                 queries_.refiner(first + hit.query, slot.scratch.data()));
  if (collector.threshold() < before) slot.rules[hit.query] = RuleFor(terms, dot_factor_, collector.threshold());
}

// Returns how many wanted rows survived.
size_t Int8Scan::RunCodes(const RowRange& rows, size_t first, size_t count, Candidates* collectors, Slot& slot) const {
  const Part& part = *rows.part;
  const Prepared& prepared = slot.prepared;
  const size_t at_once = std::max(kHits / count / (2 * kPanelRows), size_t{1}) * 2;
  slot.hits.resize(at_once * kPanelRows * count);
  MakeRules(first, count, collectors, slot);
  const size_t end = (rows.end + kPanelRows - 1) / kPanelRows;
  size_t survived = 0;
  // Thresholds fall between calls of the kernel: as long as many rows survive, it is given few.
  size_t taken = 2;
  for (size_t panel = rows.begin / kPanelRows; panel < end;) {
    taken = std::min(taken, end - panel);
    const size_t found =
        coder_.scan(part.block->codes->panel(panel), taken, space_.steps(),
                    {prepared.codes.data(), prepared.bias.data(), count}, slot.rules.data(), slot.hits.data());
    const size_t first_row = panel * kPanelRows;
    panel += taken;
    taken = found * kFewHits > taken * kPanelRows * count ? 2 : std::min(2 * taken, at_once);
    for (size_t i = 0; i < found; ++i) {
      const CodeHit& hit = slot.hits[i];
      const size_t row = first_row + hit.row;
      if (row < rows.begin || row >= rows.end || !queries_.Wants(part.first + row)) continue;
      ++survived;
      Keep(hit, part.block->codes->terms(row / kPanelRows), part.first + row, first, collectors, slot);
    }
  }
  return survived;
}

// The same for rows that lie apart: they are put together as panels.
size_t Int8Scan::RunApart(const Part& part, const uint32_t* rows, size_t n, size_t first, size_t count,
                          Candidates* collectors, Slot& slot) const {
  constexpr size_t kRows = kApartPanels * kPanelRows;
  const BlockCodes& codes = *part.block->codes;
  const size_t steps = space_.steps(), panel_bytes = space_.panel_bytes();
  slot.panels.resize(kApartPanels * panel_bytes);
  slot.hits.resize(std::max(slot.hits.size(), kRows * count));
  MakeRules(first, count, collectors, slot);
  const auto terms_of = [&](size_t row) -> PanelTerms& {
    return *reinterpret_cast<PanelTerms*>(slot.panels.data() + (row / kPanelRows + 1) * panel_bytes -
                                          sizeof(PanelTerms));
  };
  for (size_t i = 0; i < std::min(n, kRowsAhead); ++i) codes.PrefetchRow(rows[i]);
  size_t survived = 0;
  for (size_t top = 0; top < n; top += kRows) {
    const size_t taken = std::min(kRows, n - top);
    for (size_t i = 0; i < taken; ++i) {
      if (top + i + kRowsAhead < n) codes.PrefetchRow(rows[top + i + kRowsAhead]);
      const uint8_t* const row = codes.row(rows[top + i]);
      const size_t r = i % kPanelRows;
      uint8_t* const to = slot.panels.data() + i / kPanelRows * panel_bytes + r * kStepValues;
      for (size_t s = 0; s < steps; ++s)
        std::memcpy(to + s * kPanelRows * kStepValues, row + s * kStepValues, kStepValues);
      RowTerms terms;
      std::memcpy(&terms, row + steps * kStepValues, sizeof(terms));
      PanelTerms& panel = terms_of(i);
      panel.offset[r] = terms.offset;
      panel.scale[r] = terms.scale;
      panel.norm[r] = terms.norm;
      panel.residual[r] = terms.residual;
    }
    const size_t found = coder_.scan(slot.panels.data(), (taken + kPanelRows - 1) / kPanelRows, steps,
                                     {slot.prepared.codes.data(), slot.prepared.bias.data(), count}, slot.rules.data(),
                                     slot.hits.data());
    for (size_t i = 0; i < found; ++i) {
      const CodeHit hit = slot.hits[i];
      if (hit.row >= taken) continue;  // left there by others
      ++survived;
      Keep(hit, terms_of(hit.row), part.first + rows[top + hit.row], first, collectors, slot);
    }
  }
  return survived;
}

// What codes saved and what they cost.
void Int8Scan::Weigh(size_t rows, size_t count, size_t hits) {
  const double saved = static_cast<double>(rows * count * queries_.dimension) *
                       std::max(kSavedArithmetic, kSavedMemory / static_cast<double>(count));
  balance_ += static_cast<int64_t>(saved - static_cast<double>(hits) * HitCost());
}

void Int8Scan::RunFp32(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot) {
  const size_t panel = fp32_.QueryPanel();
  for (size_t j = 0; j < count; j += panel)
    fp32_.Run(rows, first + j, std::min(panel, count - j), collectors + j, slot);
}

void Int8Scan::RunScattered(const Part& part, const uint32_t* rows, size_t n, size_t first, size_t count,
                            Candidates* collectors, int slot) {
  Slot& mine = slots_[static_cast<size_t>(slot)];
  if (part.coded > 0 && part.block->codes->by_row() && balance_ >= 0 && Prepare(part, first, count, mine).safe) {
    const size_t coded = static_cast<size_t>(std::lower_bound(rows, rows + n, part.coded) - rows);
    Weigh(coded, count, RunApart(part, rows, coded, first, count, collectors, mine));
    rows += coded;
    n -= coded;
    if (n == 0) return;
  }
  const size_t panel = fp32_.QueryPanel();
  for (size_t j = 0; j < count; j += panel)
    fp32_.RunScattered(part, rows, n, first + j, std::min(panel, count - j), collectors + j, slot);
}

void Int8Scan::Run(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot) {
  RowRange coded = rows;
  coded.end = std::min(rows.end, rows.part->coded);
  Slot& mine = slots_[static_cast<size_t>(slot)];
  if (coded.end < coded.begin + kLeastRows || balance_ < 0 || !Prepare(*rows.part, first, count, mine).safe) {
    RunFp32(rows, first, count, collectors, slot);
    return;
  }
  Weigh(coded.end - coded.begin, count, RunCodes(coded, first, count, collectors, mine));
  if (coded.end < rows.end) RunFp32({rows.part, coded.end, rows.end}, first, count, collectors, slot);
}

}  // namespace flatrank
