#include "index/candidates.h"

#include <algorithm>
#include <utility>

#include "kernels/kernels.h"

namespace flatrank {

void Refiner::Refine(Candidate& candidate) const {
  if (candidate.refined) return;
  const Kernels& kernels = ActiveKernels();
  const double key = metric_ == Metric::kL2 ? kernels.exact_l2(candidate.row, query_, d_)
                                            : -kernels.exact_dot(candidate.row, query_, d_);
  candidate.lower = candidate.upper = key;
  candidate.refined = true;
}

// Lowers the threshold to the k-th smallest upper bound and drops the rows beyond it. Selecting in a buffer of several
// k and cutting it at once beats a heap for every k.
void Candidates::Prune() {
  if (items_.size() <= k_) return;
  const auto kth = items_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
  std::nth_element(items_.begin(), kth, items_.end(),
                   [](const Candidate& a, const Candidate& b) { return a.upper < b.upper; });
  threshold_ = std::min(threshold_, kth->upper);
  std::erase_if(items_, [this](const Candidate& c) { return c.lower > threshold_; });
}

void Candidates::RefineAll(const Refiner& refiner) {
  for (Candidate& candidate : items_) {
    if (!candidate.refined) ++refined_;
    refiner.Refine(candidate);
  }
  std::sort(items_.begin(), items_.end(), [](const Candidate& a, const Candidate& b) {
    return a.lower < b.lower || (a.lower == b.lower && a.label < b.label);
  });
  if (items_.size() > k_) items_.resize(k_);
  if (items_.size() == k_) threshold_ = std::min(threshold_, items_.back().upper);
}

void Candidates::Compact(const Refiner& refiner) {
  Prune();
  if (items_.size() > capacity_ / 2) RefineAll(refiner);
}

std::vector<Candidate> Candidates::Take(const Refiner& refiner) {
  Prune();
  RefineAll(refiner);
  return std::exchange(items_, {});
}

}  // namespace flatrank
