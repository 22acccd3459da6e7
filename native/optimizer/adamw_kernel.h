// The inner loop of AdamW, one file per instruction set. Every one gives the same bits: products and sums are not
// fused, and square root and division are rounded correctly everywhere.
#ifndef FLATRANK_OPTIMIZER_ADAMW_KERNEL_H_
#define FLATRANK_OPTIMIZER_ADAMW_KERNEL_H_

#include <cstddef>

namespace flatrank {

// The scalars of one step, rounded to fp32 where torch's loops round them.
struct AdamWFactors {
  float gradient_scale;     // of clipping; 1 leaves gradients as they are
  float decay;              // 1 - learning_rate * weight_decay
  float first_weight;       // 1 - beta1
  float second_decay;       // beta2
  float second_weight;      // 1 - beta2
  float second_correction;  // sqrt(1 - beta2^step)
  float epsilon;
  float step_size;  // learning_rate / (1 - beta1^step)
};

// For each of n values, with g = gradient * gradient_scale:
//   w *= decay;  m += first_weight * (g - m);  v = second_decay * v + second_weight * g * g;
//   w -= step_size * m / (sqrt(v) / second_correction + epsilon)
using AdamWKernel = void(float* w, const float* gradient, float* m, float* v, size_t n, const AdamWFactors& f);

AdamWKernel AdamWScalar;
AdamWKernel AdamWAvx2;
AdamWKernel AdamWAvx512;

// The loop of the instruction set that ActiveKernels() has chosen.
AdamWKernel* ActiveAdamW();

}  // namespace flatrank

#endif  // FLATRANK_OPTIMIZER_ADAMW_KERNEL_H_
