// NEON, which every 64-bit ARM has.
#include <arm_neon.h>

#include "kernels/codes.h"
#include "kernels/kernels.h"

namespace flatrank {

namespace {

struct Vec {
  using Type = float32x4_t;
  static constexpr size_t kLanes = 4;

  static Type Zero() { return vdupq_n_f32(0); }
  static Type Broadcast(float value) { return vdupq_n_f32(value); }
  static Type Load(const float* p) { return vld1q_f32(p); }
  // The first n < 4 values, zeros behind them; reads nothing further.
  static Type LoadPartial(const float* p, size_t n) {
    float values[kLanes] = {};
    for (size_t i = 0; i < n; ++i) values[i] = p[i];
    return vld1q_f32(values);
  }
  static Type Sub(Type a, Type b) { return vsubq_f32(a, b); }
  static Type Mul(Type a, Type b) { return vmulq_f32(a, b); }
  static Type Fma(Type a, Type b, Type c) { return vfmaq_f32(c, a, b); }
  static Type NegatedFma(Type a, Type b, Type c) { return vfmsq_f32(c, a, b); }
  static uint32_t NotGreater(Type a, Type b) {
    const uint32x4_t bits = vbicq_u32(uint32x4_t{1, 2, 4, 8}, vcgtq_f32(a, b));
    return vaddvq_u32(bits);
  }
  static float Sum(Type v) { return vaddvq_f32(v); }
  static void Pin(Type& v) { __asm__ volatile("" : "+w"(v)); }
};

struct Wide {
  struct Type {
    float64x2_t parts[4];  // partial sums 2 i and 2 i + 1
  };
  static Type Zero() { return {{vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)}}; }
  static float64x2_t Widen(const float* p) { return vcvt_f64_f32(vld1_f32(p)); }
  static void AddProducts(Type& acc, const float* x, const float* q) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i)
      acc.parts[i] = vaddq_f64(acc.parts[i], vmulq_f64(Widen(x + 2 * i), Widen(q + 2 * i)));
  }
  static void AddSquares(Type& acc, const float* x, const float* q) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
      const float64x2_t difference = vsubq_f64(Widen(x + 2 * i), Widen(q + 2 * i));
      acc.parts[i] = vaddq_f64(acc.parts[i], vmulq_f64(difference, difference));
    }
  }
  static void Store(double* sums, const Type& acc) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) vst1q_f64(sums + 2 * i, acc.parts[i]);
  }
};

constexpr int kTileQueries = 6;  // 4 x 6 accumulators, 6 queries and a row: 31 of 32 registers

#include "kernels/kernels_simd.inl"

}  // namespace

const Kernels kNeonKernels = {"neon",   Vec::kLanes, ScanTile<false>, ScanTile<true>, Select,
                              ExactDot, ExactL2,     FirstNonFinite,  CountBits,      Add,
                              Max,      Divide,      &kScalarCodes};
const Kernels kNeonDotKernels = {"neon",   Vec::kLanes, ScanTile<false>, ScanTile<true>, Select,
                                 ExactDot, ExactL2,     FirstNonFinite,  CountBits,      Add,
                                 Max,      Divide,      &kNeonCodes};

}  // namespace flatrank
