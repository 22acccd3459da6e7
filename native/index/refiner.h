#ifndef FLATRANK_INDEX_REFINER_H_
#define FLATRANK_INDEX_REFINER_H_

#include <cstddef>
#include <cstdint>

#include "index/block.h"
#include "index/metric.h"
#include "kernels/kernels.h"

namespace flatrank {

// Gives rows their defined key for one query.
class Refiner {
 public:
  // `scratch` (dimension) takes rows that do not lie aligned; it belongs to the calling thread.
  Refiner(const Snapshot& snapshot, Metric metric, size_t dimension, const float* query, float* scratch)
      : snapshot_(snapshot), metric_(metric), d_(dimension), query_(query), scratch_(scratch) {}

  double Key(uint32_t label) const {
    const Part& part = snapshot_.PartOf(label);
    return KeyOf(part.block->Rows(label - part.first, 1, scratch_));
  }
  double KeyOf(const float* row) const {
    const Kernels& kernels = ActiveKernels();
    return metric_ == Metric::kL2 ? kernels.exact_l2(row, query_, d_) : -kernels.exact_dot(row, query_, d_);
  }
  void Prefetch(uint32_t label) const {
    const Part& part = snapshot_.PartOf(label);
    part.block->PrefetchRow(label - part.first);
  }

 private:
  const Snapshot& snapshot_;
  const Metric metric_;
  const size_t d_;
  const float* const query_;
  float* const scratch_;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_REFINER_H_
