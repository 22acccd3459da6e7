#ifndef FLATRANK_INDEX_FP32_SCAN_H_
#define FLATRANK_INDEX_FP32_SCAN_H_

#include <vector>

#include "index/bounds.h"
#include "index/scan.h"
#include "kernels/kernels.h"

namespace flatrank {

// Scans the fp32 rows themselves, many queries a row tile, without a matrix of all distances.
class Fp32Scan : public Scan {
 public:
  // `max_norm2` is at least the largest |x|^2 of the rows to be scanned.
  Fp32Scan(const Queries& queries, double max_norm2);

  size_t QueryPanel() const override;
  void Run(const Block& block, size_t begin, size_t end, size_t first, size_t count,
           Candidates* collectors) const override;

 private:
  struct QueryNorm {
    double low2, high2, high;  // bounds of |q|^2 and of |q|
    bool safe;                 // the scan cannot overflow for it
  };
  // How the scan computes keys.
  enum class Form { kDots, kDifferences };

  void RefineAll(const Block& block, size_t begin, size_t end, size_t query, Candidates& collector) const;
  SelectRule RuleFor(Form form, const QueryNorm& norm, double threshold) const;
  Candidate CandidateFor(Form form, float key, const QueryNorm& norm, const Block& block, size_t row) const;
  Form FormFor(const Candidates* collectors, size_t count) const;

  const Queries queries_;
  const Kernels& kernels_;
  const ScanError error_;
  std::vector<QueryNorm> norms_;
  bool all_safe_ = true;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_FP32_SCAN_H_
