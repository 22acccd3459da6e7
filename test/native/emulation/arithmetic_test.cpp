// The emulation's intrinsics, atomics, tensor cores and vector types.
#include <cfloat>
#include <cmath>
#include <limits>
#include <vector>

#include "testing.h"

namespace flatrank::test {

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

}  // namespace flatrank::test
