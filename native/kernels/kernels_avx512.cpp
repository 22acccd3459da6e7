// AVX-512 F, DQ, BW and VL: compiled with those flags, called only where cpuid and xgetbv say so.
#include <immintrin.h>

#include "kernels/kernels.h"

namespace flatrank {

namespace {

struct Vec {
  using Type = __m512;
  static constexpr size_t kLanes = 16;

  static Type Zero() { return _mm512_setzero_ps(); }
  static Type Broadcast(float value) { return _mm512_set1_ps(value); }
  static Type Load(const float* p) { return _mm512_loadu_ps(p); }
  // The first n < 16 values, zeros behind them; reads nothing further.
  static Type LoadPartial(const float* p, size_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
  }
  static Type Sub(Type a, Type b) { return _mm512_sub_ps(a, b); }
  static Type Mul(Type a, Type b) { return _mm512_mul_ps(a, b); }
  static Type Fma(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
  static Type NegatedFma(Type a, Type b, Type c) { return _mm512_fnmadd_ps(a, b, c); }
  static uint32_t NotGreater(Type a, Type b) { return _mm512_cmp_ps_mask(a, b, _CMP_NGT_UQ); }
  static float Sum(Type v) { return _mm512_reduce_add_ps(v); }
  static void Pin(Type& v) { __asm__ volatile("" : "+v"(v)); }
};

struct Wide {
  using Type = __m512d;
  static Type Zero() { return _mm512_setzero_pd(); }
  static __m512d Widen(const float* p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
  static void AddProducts(Type& acc, const float* x, const float* q) {
    acc = _mm512_add_pd(acc, _mm512_mul_pd(Widen(x), Widen(q)));
  }
  static void AddSquares(Type& acc, const float* x, const float* q) {
    const __m512d difference = _mm512_sub_pd(Widen(x), Widen(q));
    acc = _mm512_add_pd(acc, _mm512_mul_pd(difference, difference));
  }
  static void Store(double* sums, const Type& acc) { _mm512_store_pd(sums, acc); }
};

constexpr int kTileQueries = 6;  // 4 x 6 accumulators, 6 queries and a row: 31 of 32 registers

#include "kernels/kernels_simd.inl"

}  // namespace

// Without VNNI, AVX-512 has nothing for int8 that AVX2 has not.
const Kernels kAvx512Kernels = {"avx512", Vec::kLanes, ScanTile<false>, ScanTile<true>, Select,
                                ExactDot, ExactL2,     FirstNonFinite,  CountBits,      Add,
                                Max,      Divide,      &kAvx2Codes};
const Kernels kAvx512VnniKernels = {"avx512", Vec::kLanes, ScanTile<false>, ScanTile<true>, Select,
                                    ExactDot, ExactL2,     FirstNonFinite,  CountBits,      Add,
                                    Max,      Divide,      &kVnniCodes};

}  // namespace flatrank
