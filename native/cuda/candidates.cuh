// The rows that can still be among the k nearest of a query, as Candidates on the CPU: a list for each query that scans
// append to, a threshold, and between two scans a kernel that lowers the one and thins the other out.
#ifndef FLATRANK_CUDA_CANDIDATES_CUH_
#define FLATRANK_CUDA_CANDIDATES_CUH_

#include <cstddef>
#include <cstdint>

#include "cuda/platform.h"

namespace flatrank::cuda {

struct Candidate {
  float lower, upper;
  uint32_t label;
};

// Of `nq` queries.
struct CandidateLists {
  Candidate* items;    // (nq, room)
  uint32_t* counts;    // (nq) appended since the last thinning included; above `room` where some found no place
  float* thresholds;   // (nq) no row with a lower bound above it is wanted
  uint8_t* undecided;  // (nq) 1: given up
  uint32_t* overflow;  // (1) the run in which some found no place, 0: none
  uint32_t room;
  uint32_t run = 0;  // this one, from 1 on

  // Runs are queued without a look at how those before went: scans after one that overflowed do nothing.
  __device__ __forceinline__ bool Stopped() const {
    const uint32_t stopped = *overflow;
    return stopped != 0 && stopped != run;
  }
};

__device__ __forceinline__ void Append(const CandidateLists& lists, uint32_t query, const Candidate& row) {
  const uint32_t at = atomicAdd(lists.counts + query, 1u);
  if (at < lists.room)
    lists.items[static_cast<size_t>(query) * lists.room + at] = row;
  else
    *lists.overflow = lists.run;  // by many threads, all writing the same
}

// Bits that are ordered, as unsigned integers, as the values are.
__device__ __forceinline__ uint32_t Ordered(float value) {
  const uint32_t bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float FromOrdered(uint32_t bits) {
  return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}
__device__ __forceinline__ uint64_t Ordered(double value) {
  const uint64_t bits = static_cast<uint64_t>(__double_as_longlong(value));
  return bits >> 63 ? ~bits : bits | (uint64_t{1} << 63);
}

inline constexpr uint32_t kListThreads = 256;  // as many as a digit has values

// The k-th smallest of count >= k >= 1 values key(i), by digits of eight bits from the highest. By a whole block of
// kListThreads threads; all get the result.
template <typename Bits, typename Key>
__device__ Bits KthSmallest(uint32_t count, uint32_t k, Key key) {
  __shared__ uint32_t histogram[kListThreads];
  __shared__ uint32_t digit, below;
  Bits prefix = 0;
  for (int shift = static_cast<int>(sizeof(Bits) * 8) - 8; shift >= 0; shift -= 8) {
    histogram[threadIdx.x] = 0;
    __syncthreads();
    const Bits above = shift + 8 == static_cast<int>(sizeof(Bits) * 8) ? Bits{0} : ~Bits{0} << (shift + 8);
    for (uint32_t i = threadIdx.x; i < count; i += kListThreads) {
      const Bits bits = key(i);
      if ((bits & above) == prefix) atomicAdd(&histogram[(bits >> shift) & 255u], 1u);
    }
    __syncthreads();
    // Sums of all smaller digits, in eight steps of doubling distance.
    const uint32_t mine = histogram[threadIdx.x];
    uint32_t sum = mine;
    for (uint32_t step = 1; step < kListThreads; step *= 2) {
      const uint32_t other = threadIdx.x >= step ? histogram[threadIdx.x - step] : 0;
      __syncthreads();
      sum += other;
      histogram[threadIdx.x] = sum;
      __syncthreads();
    }
    if (sum >= k && sum - mine < k) {
      digit = threadIdx.x;
      below = sum - mine;
    }
    __syncthreads();
    prefix |= static_cast<Bits>(digit) << shift;
    k -= below;
    __syncthreads();
  }
  return prefix;
}

// Lowers the threshold of each query to the k-th smallest upper bound in its list and drops what that excludes; after a
// run that overflowed also rows labelled `first` or more, which are to be met again. A list that stays more than half
// full is given up. A block a query.
__global__ void __launch_bounds__(kListThreads) ThinOut(CandidateLists lists, uint32_t k, uint32_t first) {
  __shared__ uint32_t kept, taken;
  const uint32_t end = *lists.overflow != 0 ? first : 0xffffffffu;
  const uint32_t query = blockIdx.x, count = min(lists.counts[query], lists.room);
  Candidate* const items = lists.items + static_cast<size_t>(query) * lists.room;
  if (count >= k) {
    const uint32_t bits = KthSmallest<uint32_t>(count, k, [&](uint32_t i) { return Ordered(items[i].upper); });
    const float upper = FromOrdered(bits);
    if (threadIdx.x == 0 && upper < lists.thresholds[query]) lists.thresholds[query] = upper;
  }
  if (threadIdx.x == 0) kept = 0;
  __syncthreads();
  const float threshold = lists.thresholds[query];
  // Rows move only to places that have been read.
  for (uint32_t begin = 0; begin < count; begin += kListThreads) {
    const uint32_t i = begin + threadIdx.x;
    Candidate row{};
    bool keep = false;
    if (i < count) {
      row = items[i];
      keep = row.lower <= threshold && row.label < end;
    }
    if (threadIdx.x == 0) taken = 0;
    __syncthreads();
    const uint32_t at = keep ? atomicAdd(&taken, 1u) : 0;
    if (keep) items[kept + at] = row;
    __syncthreads();
    if (threadIdx.x == 0) kept += taken;
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  const bool full = kept > lists.room / 2;
  if (full) {
    lists.undecided[query] = 1;
    lists.thresholds[query] = __uint_as_float(0xff800000u);  // no row passes any more
  }
  lists.counts[query] = full ? 0 : kept;
}

// Empty lists for `nq` queries.
__global__ void StartLists(CandidateLists lists, uint32_t nq, const uint8_t* undecided) {
  const uint32_t query = blockIdx.x * blockDim.x + threadIdx.x;
  if (query == 0) *lists.overflow = 0;
  if (query >= nq) return;
  lists.counts[query] = 0;
  lists.undecided[query] = undecided[query];
  lists.thresholds[query] = __uint_as_float(undecided[query] != 0 ? 0xff800000u : 0x7f800000u);
}

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_CANDIDATES_CUH_
