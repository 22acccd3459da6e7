// AVX2: compiled with -mavx2, called only where cpuid and xgetbv say so.
#include <immintrin.h>

#include "optimizer/adamw_kernel.h"

namespace flatrank {

namespace {

struct Vec {
  using Type = __m256;
  static constexpr size_t kLanes = 8;

  static Type Broadcast(float value) { return _mm256_set1_ps(value); }
  static Type Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Type a) { _mm256_storeu_ps(p, a); }
  static Type Add(Type a, Type b) { return _mm256_add_ps(a, b); }
  static Type Sub(Type a, Type b) { return _mm256_sub_ps(a, b); }
  static Type Mul(Type a, Type b) { return _mm256_mul_ps(a, b); }
  static Type Div(Type a, Type b) { return _mm256_div_ps(a, b); }
  static Type Sqrt(Type a) { return _mm256_sqrt_ps(a); }
};

#include "optimizer/adamw_simd.inl"

}  // namespace

void AdamWAvx2(float* w, const float* gradient, float* m, float* v, size_t n, const AdamWFactors& f) {
  AdamWSimd(w, gradient, m, v, n, f);
}

}  // namespace flatrank
