// The emulation's threads, their barriers and warps: kernels here are written as for a GPU.
#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "testing.h"

namespace flatrank::test {

template <int kThreads>
__global__ void __launch_bounds__(kThreads) BlockSums(const int* __restrict__ in, unsigned n, int* __restrict__ sums) {
  __shared__ int part[kThreads];
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  part[threadIdx.x] = i < n ? __ldg(in + i) : 0;
  __syncthreads();
  for (unsigned step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) part[threadIdx.x] += part[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}

TEST(EmulationReducesInBlocks) {
  std::vector<int> values(1000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i * i % 101);
  const Device<int> in(values);
  InEveryOrder([&] {
    const size_t before = emulation::launches;
    const Device<int> sums(4);
    cuda::Launch(BlockSums<256>, 4, 256, nullptr, in.data(), 1000U, sums.data());
    CHECK(cudaGetLastError() == cudaSuccess && emulation::launches == before + 1);
    const std::vector<int> got = sums.Get();
    for (size_t block = 0; block < 4; ++block) {
      int expected = 0;
      for (size_t i = block * 256; i < std::min<size_t>(block * 256 + 256, 1000); ++i) expected += values[i];
      CHECK(got[block] == expected);
    }
  });
}

__global__ void Coordinates(uint3* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  __syncthreads();
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = threadIdx;
}

TEST(EmulationRunsGridsOfThreeDimensions) {
  InEveryOrder([] {
    const Device<uint3> out(2 * 3 * 2 * 40);
    cuda::Launch(Coordinates, dim3(2, 3, 2), dim3(4, 5, 2), nullptr, out.data());
    const std::vector<uint3> got = out.Get();
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i].x == i % 4 && got[i].y == i / 4 % 5 && got[i].z == i / 20 % 2);
  });
}

// Without its barrier, a thread reads what its neighbour may not have written.
template <bool kBarrier>
__global__ void Neighbour(int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = -1;
  __syncthreads();
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (kBarrier) __syncthreads();
  out[threadIdx.x] = values[(threadIdx.x + 1) % 64];
}

template <bool kBarrier>
__global__ void WarpNeighbour(int* out) {
  __shared__ int values[32];
  values[threadIdx.x] = -1;
  __syncwarp();
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (kBarrier) __syncwarp();
  out[threadIdx.x] = values[threadIdx.x ^ 1];
}

TEST(EmulationShowsMissingBarriers) {
  const auto wrong = [](void (*kernel)(int*), unsigned n, auto neighbour) {
    int orders = 0;
    InEveryOrder([&] {
      const Device<int> out(n);
      cuda::Launch(kernel, 1, n, nullptr, out.data());
      const std::vector<int> got = out.Get();
      bool right = true;
      for (unsigned i = 0; i < n; ++i) right = right && got[i] == static_cast<int>(neighbour(i));
      if (!right) ++orders;
    });
    return orders;
  };
  const auto next = [](unsigned i) { return (i + 1) % 64; };
  const auto pair = [](unsigned i) { return i ^ 1; };
  CHECK(wrong(Neighbour<true>, 64, next) == 0);
  CHECK(wrong(Neighbour<false>, 64, next) > 0);
  CHECK(wrong(WarpNeighbour<true>, 32, pair) == 0);
  CHECK(wrong(WarpNeighbour<false>, 32, pair) > 0);
}

__global__ void Shuffles(int* ints, double* doubles, unsigned* votes) {
  const unsigned lane = threadIdx.x % 32, i = threadIdx.x;
  const int value = static_cast<int>(i);
  ints[i] = __shfl_sync(kFull, value, 5);
  ints[64 + i] = __shfl_sync(kFull, value, 9, 8);
  ints[128 + i] = __shfl_up_sync(kFull, value, 3);
  ints[192 + i] = __shfl_down_sync(kFull, value, 3, 16);
  ints[256 + i] = __shfl_xor_sync(kFull, value, 6);
  ints[320 + i] = __shfl_xor_sync(kFull, value, 8, 8);
  double sum = i + 0.5;
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(kFull, sum, step);
  doubles[i] = sum;
  float most = -static_cast<float>(i);
  for (unsigned step = 16; step > 0; step /= 2) most = max(most, __shfl_down_sync(kFull, most, step));
  doubles[64 + i] = __shfl_sync(kFull, most, 0);
  doubles[128 + i] = static_cast<double>(__shfl_sync(kFull, 1ULL << 40 | i, 31));
  votes[i] = __ballot_sync(kFull, lane % 3 == 0);
  votes[64 + i] = static_cast<unsigned>(__any_sync(kFull, i == 40));
  votes[128 + i] = static_cast<unsigned>(__all_sync(kFull, i < 32));
  // Halves of a warp on their own.
  if (lane < 16) {
    votes[192 + i] = __ballot_sync(0x0000ffffU, 1);
  } else {
    votes[192 + i] = __ballot_sync(0xffff0000U, lane == 20);
  }
}

TEST(EmulationShufflesAndVotes) {
  InEveryOrder([] {
    const Device<int> ints(6 * 64);
    const Device<double> doubles(3 * 64);
    const Device<unsigned> votes(4 * 64);
    cuda::Launch(Shuffles, 1, 64, nullptr, ints.data(), doubles.data(), votes.data());
    const auto got = ints.Get();
    const auto reals = doubles.Get();
    const auto bits = votes.Get();
    for (unsigned i = 0; i < 64; ++i) {
      const unsigned lane = i % 32, first = i - lane;
      const auto is = [&](unsigned row, unsigned expected) { return got[row * 64 + i] == static_cast<int>(expected); };
      CHECK(is(0, first + 5) && is(1, i / 8 * 8 + 1));
      CHECK(is(2, lane < 3 ? i : i - 3) && is(3, i % 16 + 3 > 15 ? i : i + 3));
      CHECK(is(4, i ^ 6) && is(5, (i & 8) == 0 ? i : i ^ 8));
      CHECK(reals[i] == 32 * (first + 16));
      CHECK(reals[64 + i] == -static_cast<double>(first));
      CHECK(reals[128 + i] == std::ldexp(1, 40) + first + 31);
      CHECK(bits[i] == 0x49249249U && bits[64 + i] == i / 32 && bits[128 + i] == 1 - i / 32);
      CHECK(bits[192 + i] == (lane < 16 ? 0xffffU : 1U << 20));
    }
  });
}

// Odd threads leave before the barrier; n of them reached it.
__global__ void Leavers(int* counts) {
  if (threadIdx.x % 2 != 0) return;
  const int reached = __syncthreads_count(1);
  const int any = __syncthreads_or(threadIdx.x == 6);
  __syncwarp();
  counts[threadIdx.x / 2] = reached * 2 + any;
}

TEST(EmulationCountsReturnedThreadsAsArrived) {
  InEveryOrder([] {
    const Device<int> counts(50);
    cuda::Launch(Leavers, 1, 100, nullptr, counts.data());
    for (const int count : counts.Get()) CHECK(count == 101);
  });
}

TEST(EmulationTakesLaunchesFromSeveralThreads) {
  std::vector<std::thread> hosts;
  for (int host = 0; host < 4; ++host)
    hosts.emplace_back([host] {
      const Device<int> in(std::vector<int>(512, host));
      for (int i = 0; i < 20; ++i) {
        const Device<int> sums(2);
        cuda::Launch(BlockSums<256>, 2, 256, nullptr, in.data(), 512U, sums.data());
        CHECK(sums.Get() == std::vector<int>(2, 256 * host));
      }
    });
  for (std::thread& host : hosts) host.join();
}

}  // namespace flatrank::test
