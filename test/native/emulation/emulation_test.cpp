// The emulation itself: kernels here are written as for a GPU.
#include "emulation.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cfloat>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "../check.h"

namespace flatrank::test {

namespace {

constexpr unsigned kFull = 0xffffffffU;

// n values in device memory, copied back by Get.
template <typename T>
class Device {
 public:
  explicit Device(size_t n) : size_(n) { CHECK(cudaMalloc(&data_, n * sizeof(T)) == cudaSuccess); }
  explicit Device(const std::vector<T>& values) : Device(values.size()) {
    CHECK(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~Device() { cudaFree(data_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  T* data() const { return data_; }
  std::vector<T> Get() const {
    std::vector<T> values(size_);
    CHECK(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return values;
  }

 private:
  const size_t size_;
  T* data_ = nullptr;
};

template <typename Body>
void InEveryOrder(Body body) {
  for (const unsigned order : {0U, 1U, 7U}) {
    emulation::order = order;
    body();
  }
  emulation::order = 0;
}

// What `body` writes to stderr before it aborts; "" if it does not abort.
template <typename Body>
std::string AbortMessage(Body body) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], 2);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string message;
  char buffer[256];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;)
    message.append(buffer, static_cast<size_t>(got));
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? message : "";
}

bool Contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

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

__global__ void Atomics(unsigned* counts, unsigned long long* wide, float* sum, int* least) {
  atomicAdd(counts, 1U);
  atomicMax(counts + 1, threadIdx.x);
  atomicOr(counts + 2, 1U << threadIdx.x % 8);
  atomicAdd(wide, 1ULL << 33);
  atomicMin(wide + 1, 1000ULL - threadIdx.x);
  atomicAdd(sum, 0.25F);
  atomicMin(least, -static_cast<int>(threadIdx.x));
  if (atomicCAS(counts + 3, 0U, threadIdx.x + 1) == 0) atomicExch(counts + 4, threadIdx.x);
  __threadfence();
}

TEST(EmulationHasAtomics) {
  InEveryOrder([] {
    const Device<unsigned> counts(std::vector<unsigned>(5));
    const Device<unsigned long long> wide(std::vector<unsigned long long>{0, ~0ULL});
    const Device<float> sum(std::vector<float>{1});
    const Device<int> least(std::vector<int>{5});
    cuda::Launch(Atomics, 3, 100, nullptr, counts.data(), wide.data(), sum.data(), least.data());
    const auto got = counts.Get();
    CHECK(got[0] == 300 && got[1] == 99 && got[2] == 255 && got[3] == got[4] + 1);
    CHECK(wide.Get() == (std::vector<unsigned long long>{300ULL << 33, 901}));
    CHECK(sum.Get()[0] == 76 && least.Get()[0] == -99);
  });
}

// Each of the two warps multiplies its 16 rows of a by the 16 rows of b, `depth` long, staged in shared memory.
__global__ void Products(const signed char* a, const signed char* b, unsigned depth, int* out) {
  using namespace nvcuda;
  __shared__ __align__(32) signed char stage[2][2][16 * 32];
  __shared__ __align__(32) int tile[2][256];
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  wmma::fragment<wmma::accumulator, 16, 16, 16, int> sums;
  wmma::fill_fragment(sums, 0);
  for (unsigned k = 0; k < depth; k += 32) {
    for (unsigned i = lane; i < 16 * 2; i += 32) {
      const unsigned row = i / 2, column = i % 2 * 16;
      *reinterpret_cast<int4*>(&stage[warp][0][row * 32 + column]) =
          *reinterpret_cast<const int4*>(a + (warp * 16 + row) * depth + k + column);
      *reinterpret_cast<int4*>(&stage[warp][1][row * 32 + column]) =
          *reinterpret_cast<const int4*>(b + row * depth + k + column);
    }
    __syncwarp();
    for (unsigned step = 0; step < 32; step += 16) {
      wmma::fragment<wmma::matrix_a, 16, 16, 16, signed char, wmma::row_major> left;
      wmma::fragment<wmma::matrix_b, 16, 16, 16, signed char, wmma::col_major> right;
      // 16 more bytes would not be aligned to 32.
      if (step == 0) {
        wmma::load_matrix_sync(left, stage[warp][0], 32);
        wmma::load_matrix_sync(right, stage[warp][1], 32);
      } else {
        __shared__ __align__(32) signed char second[2][2][16 * 16];
        for (unsigned i = lane; i < 256; i += 32) {
          second[warp][0][i] = stage[warp][0][i / 16 * 32 + 16 + i % 16];
          second[warp][1][i] = stage[warp][1][i / 16 * 32 + 16 + i % 16];
        }
        __syncwarp();
        wmma::load_matrix_sync(left, second[warp][0], 16);
        wmma::load_matrix_sync(right, second[warp][1], 16);
      }
      wmma::mma_sync(sums, left, right, sums);
    }
    __syncwarp();
  }
  wmma::store_matrix_sync(tile[warp], sums, 16, wmma::mem_row_major);
  __syncwarp();
  for (unsigned i = lane; i < 256; i += 32) out[warp * 256 + i] = tile[warp][i];
}

TEST(EmulationMultipliesMatricesOfBytes) {
  constexpr unsigned kDepth = 96;
  std::vector<signed char> a(32 * kDepth), b(16 * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<signed char>(i * 37 % 256 - 128);
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<signed char>(i * i * 11 % 256 - 128);
  const Device<signed char> left(a), right(b);
  InEveryOrder([&] {
    const Device<int> out(512);
    cuda::Launch(Products, 1, 64, nullptr, left.data(), right.data(), kDepth, out.data());
    const std::vector<int> got = out.Get();
    for (unsigned row = 0; row < 32; ++row)
      for (unsigned column = 0; column < 16; ++column) {
        int expected = 0;
        for (unsigned k = 0; k < kDepth; ++k) expected += a[row * kDepth + k] * b[column * kDepth + k];
        CHECK(got[row * 16 + column] == expected);
      }
  });
}

TEST(EmulationHasIntrinsics) {
  CHECK(__dp4a(static_cast<int>(0x80ff017fU), 0x7f028003, 10) == -128 * 127 + -1 * 2 + 1 * -128 + 127 * 3 + 10);
  CHECK(__dp4a(0x01020304U, 0xff000001U, 1U) == 255 + 4 + 1);
  CHECK(__popc(0xf0f0U) == 8 && __popcll(1ULL << 63 | 1) == 2);
  CHECK(__ffs(0) == 0 && __ffs(8) == 4 && __ffsll(1LL << 40) == 41 && __clz(0) == 32 && __clz(1) == 31 &&
        __clz(-1) == 0);
  CHECK(min(3, -4) == -4 && max(3U, 4U) == 4 && max(-1, 2U) == kFull && min(size_t{7}, size_t{9}) == 7);
  CHECK(min(1.0F, NAN) == 1 && max(2.0, 3.0) == 3);
  CHECK(__float_as_uint(1.0F) == 0x3f800000U && __int_as_float(0x40000000) == 2);
  CHECK(__longlong_as_double(__double_as_longlong(-0.1)) == -0.1);
  CHECK(__dsub_rn(__dmul_rn(0.1, 0.1), 0.01) != std::fma(0.1, 0.1, -0.01));
  CHECK(__fmaf_rn(0.1F, 0.1F, -0.01F) == std::fma(0.1F, 0.1F, -0.01F));
}

TEST(EmulationRoundsExactly) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  CHECK(__double2float_rd(0.1) < __double2float_ru(0.1));
  CHECK(std::nextafter(__double2float_rd(0.1), kInfinity) == __double2float_ru(0.1));
  CHECK(__double2float_rd(0.1) < 0.1 && __double2float_ru(0.1) > 0.1);
  for (const float exact : {0.0F, 1.0F, -2.5F, FLT_MAX, -FLT_MAX, kTiny, kInfinity, -kInfinity}) {
    const double x = exact;
    CHECK(__double2float_rd(x) == exact && __double2float_ru(x) == exact && __double2float_rn(x) == exact);
  }
  CHECK(__double2float_rd(1e300) == FLT_MAX && __double2float_ru(1e300) == kInfinity);
  CHECK(__double2float_rd(-1e300) == -kInfinity && __double2float_ru(-1e300) == -FLT_MAX);
  CHECK(__double2float_rd(1e-300) == 0 && __double2float_ru(1e-300) == kTiny && __double2float_rd(-1e-300) == -kTiny);
  CHECK(std::isnan(__double2float_rd(NAN)) && std::isnan(__double2float_ru(NAN)));
  CHECK(__int2float_rn(16777217) == 16777216.0F && __int2float_rn(16777219) == 16777220.0F);
}

TEST(EmulationLaysOutVectorsAsCuda) {
  static_assert(sizeof(char4) == 4 && alignof(char4) == 4);
  static_assert(sizeof(int2) == 8 && alignof(int2) == 8 && sizeof(uint2) == 8 && alignof(float2) == 8);
  static_assert(sizeof(int4) == 16 && alignof(int4) == 16 && sizeof(uint4) == 16 && alignof(float4) == 16);
  static_assert(sizeof(uint3) == 12 && alignof(uint3) == 4 && sizeof(dim3) == 12);
  const std::vector<int4> values{make_int4(1, 2, 3, 4)};
  CHECK(values[0].x == 1 && values[0].w == 4 && make_float2(1, 2).y == 2);
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

__global__ void HalfAtWarp() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else if (threadIdx.x < 48) {
    __ballot_sync(kFull, 1);
  }
}
__global__ void TwoBarriers() {
  if (threadIdx.x == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void NotInMask() { __syncwarp(1U); }
__global__ void OutsideMask() {
  if (threadIdx.x < 16) __shfl_sync(0xffffU, 1, 20);
}
__global__ void MisalignedTile(signed char* memory) {
  nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, signed char, nvcuda::wmma::row_major> tile;
  nvcuda::wmma::load_matrix_sync(tile, memory + 16, 16);
}

TEST(EmulationAbortsWhatCannotGoOn) {
#ifdef __SANITIZE_THREAD__
  return;  // it has its own mind about fork
#endif
  const auto run = [](void (*kernel)()) { return AbortMessage([&] { cuda::Launch(kernel, 1, 64, nullptr); }); };
  const std::string half = run(HalfAtWarp);
  CHECK(Contains(half, "32 threads, the first of them 0, wait at __syncthreads") && Contains(half, "emulation_test"));
  CHECK(Contains(half, "16 threads, the first of them 32, wait at __ballot_sync") &&
        Contains(half, "16 threads, the first of them 48, have returned"));
  CHECK(Contains(run(TwoBarriers), "but thread 1 at __syncthreads"));
  CHECK(Contains(run(NotInMask), "lane 1 is not in its mask 0x00000001"));
  CHECK(Contains(run(OutsideMask), "shuffles from lane 20"));
  const Device<signed char> memory(1024);
  const std::string misaligned = AbortMessage([&] { cuda::Launch(MisalignedTile, 1, 32, nullptr, memory.data()); });
  CHECK(Contains(misaligned, "aligned to 32 bytes"));
  CHECK(Contains(AbortMessage([] { __syncthreads(); }), "outside of a kernel"));
}

TEST(EmulationLimitsMemory) {
  const size_t before = emulation::allocated, limit = emulation::memory_limit;
  emulation::memory_limit = before + 1000;
  void* first = nullptr;
  void* second = nullptr;
  CHECK(cudaMalloc(&first, 600) == cudaSuccess && emulation::allocated == before + 600);
  CHECK(reinterpret_cast<uintptr_t>(first) % 256 == 0 && static_cast<unsigned char*>(first)[599] == 0xA5);
  CHECK(cudaMalloc(&second, 401) == cudaErrorMemoryAllocation && second == nullptr);
  CHECK(cudaPeekAtLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
  size_t free = 0, total = 0;
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess && free == 400 && total == before + 1000);
  CHECK(cudaMallocAsync(&second, 400, nullptr) == cudaSuccess);
  CHECK(cudaFreeAsync(second, nullptr) == cudaSuccess && cudaFree(first) == cudaSuccess);
  CHECK(emulation::allocated == before && cudaFree(&first) == cudaErrorInvalidValue);
  emulation::memory_limit = limit;
  cudaGetLastError();
}

TEST(EmulationChecksCopiesAndLaunches) {
  const Device<int> device(std::vector<int>{1, 2, 3, 4, 5, 6});
  int host[6] = {};
  CHECK(cudaMemcpy(host, device.data(), 28, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, device.data(), 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy2DAsync(host, 8, device.data() + 1, 12, 8, 2, cudaMemcpyDeviceToHost, nullptr) == cudaSuccess);
  CHECK(host[0] == 2 && host[1] == 3 && host[2] == 5 && host[3] == 6);
  CHECK(cudaMemsetAsync(device.data(), 0, 24) == cudaSuccess && device.Get() == std::vector<int>(6));
  cudaGetLastError();
  cuda::Launch(NotInMask, 1, 1025, nullptr);
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
  cuda::Launch(NotInMask, 0, 32, nullptr);
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
}

TEST(EmulationIsAMachineWithoutADevice) {
  emulation::device_count = 0;
  int count = 1;
  void* memory = nullptr;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
  CHECK(cudaMalloc(&memory, 1) == cudaErrorNoDevice && cudaSetDevice(0) == cudaErrorNoDevice);
  CHECK(std::string(cudaGetErrorString(cudaGetLastError())) == "no CUDA-capable device is detected");
  emulation::device_count = 1;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess && count == 1 && cudaSetDevice(1) == cudaErrorInvalidDevice);
  cudaGetLastError();
}

TEST(EmulationHasStreamsAndEvents) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  CHECK(cudaEventRecord(event, stream) == cudaSuccess && cudaStreamWaitEvent(stream, event, 0) == cudaSuccess);
  CHECK(cudaEventSynchronize(event) == cudaSuccess && cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  CHECK(cudaEventDestroy(event) == cudaSuccess && cudaStreamDestroy(stream) == cudaSuccess);
  float* pinned = nullptr;
  CHECK(cudaMallocHost(&pinned, 64) == cudaSuccess && emulation::pinned == 64);
  CHECK(cudaFreeHost(pinned) == cudaSuccess && emulation::pinned == 0);
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
