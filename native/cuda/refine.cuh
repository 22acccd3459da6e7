// The last step of a search: keys as they are defined for the rows that are left, and the k nearest of them in order.
#ifndef FLATRANK_CUDA_REFINE_CUH_
#define FLATRANK_CUDA_REFINE_CUH_

#include "cuda/candidates.cuh"
#include "cuda/exact.cuh"

namespace flatrank::cuda {

// Where rows lie: block i holds labels [firsts[i], firsts[i + 1]).
struct RowTable {
  const float* const* values;  // (blocks)
  const size_t* firsts;        // (blocks + 1)
  uint32_t blocks;

  __device__ __forceinline__ const float* Row(size_t label, uint32_t dimension) const {
    uint32_t low = 0, high = blocks;
    while (high - low > 1) {
      const uint32_t middle = (low + high) / 2;
      if (firsts[middle] <= label)
        low = middle;
      else
        high = middle;
    }
    return values[low] + (label - firsts[low]) * dimension;
  }
};

// keys (nq, room) of every row in the lists. Blocks (query, share of its list).
__global__ void __launch_bounds__(kListThreads) FindKeys(CandidateLists lists, RowTable rows, const float* queries,
                                                         uint32_t dimension, Metric metric, double* keys) {
  const uint32_t query = blockIdx.x, count = min(lists.counts[query], lists.room);
  const uint32_t lane = threadIdx.x % kExactLanes, at_once = kListThreads / kExactLanes;
  const size_t list = static_cast<size_t>(query) * lists.room;
  for (uint32_t begin = blockIdx.y * at_once; begin < count; begin += gridDim.y * at_once) {
    const uint32_t wanted = begin + threadIdx.x / kExactLanes, i = wanted < count ? wanted : count - 1;
    const double key = ExactKey(metric, rows.Row(lists.items[list + i].label, dimension),
                                queries + static_cast<size_t>(query) * dimension, dimension, lane);
    if (lane == 0 && wanted < count) keys[list + i] = key;
  }
}

// Writes the k nearest to distances and labels (nq, k), and behind them what stands for no row. A row's place is the
// number of those before it: few rows are left, and all but k and those equal to the last of these are skipped. A block
// a query.
__global__ void __launch_bounds__(kListThreads) RankNearest(CandidateLists lists, const double* keys, uint32_t k,
                                                            Metric metric, float* distances, int32_t* labels) {
  const uint32_t query = blockIdx.x, count = min(lists.counts[query], lists.room);
  const size_t results = static_cast<size_t>(query) * k;
  for (uint32_t i = count + threadIdx.x; i < k; i += kListThreads) {
    distances[results + i] = __uint_as_float(metric == Metric::kL2 ? 0x7f800000u : 0xff800000u);
    labels[results + i] = -1;
  }
  if (count == 0) return;
  const Candidate* const items = lists.items + static_cast<size_t>(query) * lists.room;
  const double* const mine = keys + static_cast<size_t>(query) * lists.room;
  // -0 is equal to 0, and the sum of both is 0.
  const auto bits_of = [&](uint32_t i) { return Ordered(__dadd_rn(mine[i], 0.0)); };
  const uint64_t last = KthSmallest<uint64_t>(count, min(k, count), bits_of);
  for (uint32_t i = threadIdx.x; i < count; i += kListThreads) {
    const double key = mine[i];
    if (bits_of(i) > last) continue;
    uint32_t before = 0;
    for (uint32_t j = 0; j < count; ++j)
      before += mine[j] < key || (mine[j] == key && items[j].label < items[i].label) ? 1u : 0u;
    if (before >= k) continue;
    const size_t at = results + before;
    distances[at] = static_cast<float>(metric == Metric::kL2 ? key : -key);
    labels[at] = static_cast<int32_t>(items[i].label);
  }
}

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_REFINE_CUH_
