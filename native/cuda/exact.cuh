// The distance as it is defined (kernels/kernels.h): the same bits as on the CPU.
#ifndef FLATRANK_CUDA_EXACT_CUH_
#define FLATRANK_CUDA_EXACT_CUH_

#include <cstddef>
#include <cstdint>

#include "cuda/platform.h"
#include "index/metric.h"

namespace flatrank::cuda {

inline constexpr uint32_t kExactLanes = 8;  // threads for a row: one for each partial sum

// The key of row x for query q (dimension), by kExactLanes neighbouring threads, of which each names its own `lane`.
// All threads of the warp have to call it; all get their row's result. Nothing here is fused or reordered.
__device__ __forceinline__ double ExactKey(Metric metric, const float* x, const float* q, uint32_t dimension,
                                           uint32_t lane) {
  double sum = 0;
  if (metric == Metric::kL2) {
    for (uint32_t i = lane; i < dimension; i += kExactLanes) {
      const double difference = __dsub_rn(static_cast<double>(x[i]), static_cast<double>(q[i]));
      sum = __dadd_rn(sum, __dmul_rn(difference, difference));
    }
  } else {
    for (uint32_t i = lane; i < dimension; i += kExactLanes)
      sum = __dadd_rn(sum, __dmul_rn(static_cast<double>(x[i]), static_cast<double>(q[i])));
  }
  for (uint32_t far = 1; far < kExactLanes; far *= 2) sum = __dadd_rn(sum, __shfl_xor_sync(0xffffffffu, sum, far));
  return metric == Metric::kL2 ? sum : -sum;
}

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_EXACT_CUH_
