// What a training step does outside the graph: AdamW (Loshchilov and Hutter 2019) as torch.optim.AdamW defines it, the
// norm for clipping, sums of gradients. All of it works in place on fp32 buffers and gives the same bits for every
// number of threads and every instruction set.
#ifndef FLATRANK_OPTIMIZER_OPTIMIZER_H_
#define FLATRANK_OPTIMIZER_OPTIMIZER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cancellation.h"

namespace flatrank {

// Values of one buffer.
struct FloatSpan {
  float* data;
  size_t size;
};

// One parameter tensor with its gradient and its two moments, n values each.
struct AdamWTensor {
  float* parameter;
  const float* gradient;
  float* first_moment;
  float* second_moment;
  size_t size;
  double weight_decay;
};

struct AdamWStep {
  double learning_rate;
  double beta1;
  double beta2;
  double epsilon;
  int64_t step;           // from 1
  double gradient_scale;  // gradients count times this; the buffers stay as they are
};

// One step over all tensors, in place.
void AdamW(const std::vector<AdamWTensor>& tensors, const AdamWStep& step, int max_threads);

// The norm of all values together, summed in fp64.
double GlobalNorm(const std::vector<FloatSpan>& tensors, int max_threads);

// target[i] += source[i] of each pair of tensors; sizes are equal.
void Accumulate(const std::vector<FloatSpan>& targets, const std::vector<FloatSpan>& sources, int max_threads);

// table[ids[i]] += rows[i], ascending i. table (table_rows, cols), rows (n, cols), ids (n); rows of id `skip` are left
// out
// (-1: none). Throws Error(kInvalidArgument) before anything is written where an id is outside the table.
void ScatterAddRows(float* table, size_t table_rows, size_t cols, const float* rows, const int32_t* ids, size_t n,
                    int32_t skip, int max_threads);

}  // namespace flatrank

#endif  // FLATRANK_OPTIMIZER_OPTIMIZER_H_
