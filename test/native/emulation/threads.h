// CUDA's names of the running thread, its barriers, and the operations of its warp.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_THREADS_H_
#define FLATRANK_TEST_NATIVE_EMULATION_THREADS_H_

#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "scheduler.h"
#include "vector_types.h"

// Set by the scheduler whenever it resumes a thread.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
inline constexpr int warpSize = 32;

namespace flatrank::emulation::internal {

unsigned Ballot(const char* name, unsigned mask, bool predicate, const Site& site);
// The 64 bits that lane `source` of the warp gave.
uint64_t Shuffle(const char* name, unsigned mask, uint64_t bits, unsigned source, const Site& site);
unsigned ShuffleWidth(int width);  // checked

template <typename T>
T ShuffleValue(const char* name, unsigned mask, T value, unsigned source, const Site& site) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "shuffles move 4 or 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = Shuffle(name, mask, bits, source, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace flatrank::emulation::internal

#define FLATRANK_SITE const std::source_location& site = std::source_location::current()

inline void __syncthreads(FLATRANK_SITE) { flatrank::emulation::internal::BlockBarrier("__syncthreads", false, site); }
inline int __syncthreads_or(int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::BlockBarrier("__syncthreads_or", predicate != 0, site).yes != 0;
}
inline int __syncthreads_and(int predicate, FLATRANK_SITE) {
  const auto votes = flatrank::emulation::internal::BlockBarrier("__syncthreads_and", predicate != 0, site);
  return votes.yes == votes.all;
}
inline int __syncthreads_count(int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::BlockBarrier("__syncthreads_count", predicate != 0, site).yes;
}

inline void __syncwarp(unsigned mask = 0xffffffffU, FLATRANK_SITE) {
  flatrank::emulation::internal::WarpBarrier({"__syncwarp", [](void* const*, unsigned) {}, true}, mask, nullptr, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::Ballot("__ballot_sync", mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::Ballot("__any_sync", mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::Ballot("__all_sync", mask, predicate != 0, site) == mask;
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned from = (emulated::Lane() & ~last) | (static_cast<unsigned>(source) & last);
  return emulated::ShuffleValue("__shfl_sync", mask, value, from, site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned lane = emulated::Lane(), step = delta & 31;
  return emulated::ShuffleValue("__shfl_up_sync", mask, value, (lane & last) < step ? lane : lane - step, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned lane = emulated::Lane(), step = delta & 31;
  return emulated::ShuffleValue("__shfl_down_sync", mask, value, (lane & last) + step > last ? lane : lane + step,
                                site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned lane = emulated::Lane(), other = lane ^ (static_cast<unsigned>(lane_mask) & 31);
  // Earlier groups of `width` lanes can be read, later ones not.
  return emulated::ShuffleValue("__shfl_xor_sync", mask, value, other > (lane | last) ? lane : other, site);
}

#undef FLATRANK_SITE

#endif  // FLATRANK_TEST_NATIVE_EMULATION_THREADS_H_
