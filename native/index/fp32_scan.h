#ifndef FLATRANK_INDEX_FP32_SCAN_H_
#define FLATRANK_INDEX_FP32_SCAN_H_

#include <algorithm>
#include <vector>

#include "index/bounds.h"
#include "index/scan.h"
#include "kernels/kernels.h"

namespace flatrank {

// Scans the fp32 rows themselves, many queries a row tile, without a matrix of all distances.
class Fp32Scan : public Scan {
 public:
  // Up to `slots` threads run it.
  Fp32Scan(const Queries& queries, int slots);

  size_t QueryPanel() const override;
  void Run(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot) override;
  // The same for `n` rows of the part, ascending.
  void RunScattered(const Part& part, const uint32_t* rows, size_t n, size_t first, size_t count,
                    Candidates* collectors, int slot);

 private:
  struct QueryNorm {
    double low2, high2, high;  // bounds of |q|^2 and of |q|
  };
  // How the scan computes keys.
  enum class Form { kDots, kDifferences };
  class Pass;

  // Beyond the range in which the bounds hold.
  bool Overflows(const Part& part) const { return std::max(largest_norm2_, part.max_norm2) > kMaxNorm2; }

  void RefineAll(const RowRange& rows, size_t query, Candidates& collector, float* scratch) const;
  SelectRule RuleFor(Form form, const QueryNorm& norm, float threshold) const;
  Interval IntervalFor(Form form, float key, const QueryNorm& norm, const Part& part, size_t row) const;
  Form FormFor(const Candidates* collectors, size_t count) const;

  const Queries queries_;
  const Kernels& kernels_;
  const ScanError error_;
  std::vector<QueryNorm> norms_;
  std::vector<std::vector<float>> scratch_;  // of each slot: rows that do not lie aligned
  std::vector<std::vector<float>> keys_;     // of each slot: of a tile
  double largest_norm2_ = 0;                 // of the queries
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_FP32_SCAN_H_
