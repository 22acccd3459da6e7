// The reference, and what values at the end of a SIMD loop are left to.
#include <cmath>
#include <cstring>

#include "kernels/kernels.h"
#include "optimizer/adamw_kernel.h"

namespace flatrank {

void AdamWScalar(float* w, const float* gradient, float* m, float* v, size_t n, const AdamWFactors& f) {
  for (size_t i = 0; i < n; ++i) {
    const float g = gradient[i] * f.gradient_scale;
    m[i] = m[i] + f.first_weight * (g - m[i]);
    v[i] = v[i] * f.second_decay + f.second_weight * g * g;
    const float denominator = std::sqrt(v[i]) / f.second_correction + f.epsilon;
    w[i] = w[i] * f.decay - f.step_size * m[i] / denominator;
  }
}

AdamWKernel* ActiveAdamW() {
#if defined(__x86_64__) || defined(_M_X64)
  const char* name = ActiveKernels().name;
  if (std::strcmp(name, "avx512") == 0) return AdamWAvx512;
  if (std::strcmp(name, "avx2") == 0) return AdamWAvx2;
#endif
  return AdamWScalar;
}

}  // namespace flatrank
