// AVX-512 F: compiled with -mavx512f, called only where cpuid and xgetbv say so.
#include <immintrin.h>

#include "optimizer/adamw_kernel.h"

namespace flatrank {

namespace {

struct Vec {
  using Type = __m512;
  static constexpr size_t kLanes = 16;

  static Type Broadcast(float value) { return _mm512_set1_ps(value); }
  static Type Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, Type a) { _mm512_storeu_ps(p, a); }
  static Type Add(Type a, Type b) { return _mm512_add_ps(a, b); }
  static Type Sub(Type a, Type b) { return _mm512_sub_ps(a, b); }
  static Type Mul(Type a, Type b) { return _mm512_mul_ps(a, b); }
  static Type Div(Type a, Type b) { return _mm512_div_ps(a, b); }
  static Type Sqrt(Type a) { return _mm512_sqrt_ps(a); }
};

#include "optimizer/adamw_simd.inl"

}  // namespace

void AdamWAvx512(float* w, const float* gradient, float* m, float* v, size_t n, const AdamWFactors& f) {
  AdamWSimd(w, gradient, m, v, n, f);
}

}  // namespace flatrank
