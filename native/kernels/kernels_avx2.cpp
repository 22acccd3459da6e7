// AVX2 and FMA: compiled with -mavx2 -mfma, called only where cpuid and xgetbv say so.
#include <immintrin.h>

#include "kernels/kernels.h"

namespace flatrank {

namespace {

struct Vec {
  using Type = __m256;
  static constexpr size_t kLanes = 8;

  static Type Zero() { return _mm256_setzero_ps(); }
  static Type Broadcast(float value) { return _mm256_set1_ps(value); }
  static Type Load(const float* p) { return _mm256_loadu_ps(p); }
  // The first n < 8 values, zeros behind them; reads nothing further.
  static Type LoadPartial(const float* p, size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane));
  }
  static Type Sub(Type a, Type b) { return _mm256_sub_ps(a, b); }
  static Type Mul(Type a, Type b) { return _mm256_mul_ps(a, b); }
  static Type Fma(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  static Type NegatedFma(Type a, Type b, Type c) { return _mm256_fnmadd_ps(a, b, c); }
  static uint32_t NotGreater(Type a, Type b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NGT_UQ)));
  }
  static float Sum(Type v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  static void Pin(Type& v) { __asm__ volatile("" : "+x"(v)); }
};

struct Wide {
  struct Type {
    __m256d low, high;  // partial sums 0..3 and 4..7
  };
  static Type Zero() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static __m256d Widen(const float* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
  static void AddProducts(Type& acc, const float* x, const float* q) {
    acc.low = _mm256_add_pd(acc.low, _mm256_mul_pd(Widen(x), Widen(q)));
    acc.high = _mm256_add_pd(acc.high, _mm256_mul_pd(Widen(x + 4), Widen(q + 4)));
  }
  static void AddSquares(Type& acc, const float* x, const float* q) {
    const __m256d low = _mm256_sub_pd(Widen(x), Widen(q)), high = _mm256_sub_pd(Widen(x + 4), Widen(q + 4));
    acc.low = _mm256_add_pd(acc.low, _mm256_mul_pd(low, low));
    acc.high = _mm256_add_pd(acc.high, _mm256_mul_pd(high, high));
  }
  static void Store(double* sums, const Type& acc) {
    _mm256_store_pd(sums, acc.low);
    _mm256_store_pd(sums + 4, acc.high);
  }
};

constexpr int kTileQueries = 3;  // 4 x 3 accumulators, 3 queries and a row: all 16 registers

#include "kernels/kernels_simd.inl"

}  // namespace

const Kernels kAvx2Kernels = {"avx2",   Vec::kLanes, ScanTile<false>, ScanTile<true>, Select,
                              ExactDot, ExactL2,     FirstNonFinite,  CountBits,      Add,
                              Max,      Divide,      &kAvx2Codes};

}  // namespace flatrank
