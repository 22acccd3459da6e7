// The inner loops, one file per instruction set behind one table that is chosen once.
//
// Two kinds of arithmetic live here. The scan (dot_tile, l2_tile, select) may round as it likes: its results are only
// used with the error bounds of index/bounds.h, for which `lanes` tells how many partial sums it keeps. Everything else
// gives the same bits in every instruction set: exact_dot and exact_l2 by their definition, the elementwise loops
// because no sum crosses lanes. No file is compiled with contraction of a * b + c; where the scan fuses, it says so.
#ifndef FLATRANK_KERNELS_KERNELS_H_
#define FLATRANK_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/codes.h"

namespace flatrank {

// Coefficients of the linear function that select() holds against a threshold:
// key_weight * key + norm2_weight * norm2[r] - norm_weight * norm[r] <= threshold.
struct SelectRule {
  float key_weight;
  float norm2_weight;
  float norm_weight;
  float threshold;
};

struct Kernels {
  const char* name;

  // Partial sums of the scan: a sum of d products passes through at most ceil(d / lanes) + lanes roundings.
  size_t lanes;

  // out[j * ld + r] = <x_r, q_j> in fp32. x (rows, d), q (nq, d), both row-major and unaligned; ld >= rows.
  void (*dot_tile)(const float* x, size_t rows, const float* q, size_t nq, size_t d, float* out, size_t ld);

  // out[j * ld + r] = |x_r - q_j|^2 in fp32, summed from the differences.
  void (*l2_tile)(const float* x, size_t rows, const float* q, size_t nq, size_t d, float* out, size_t ld);

  // Writes the r in [0, rows) that the rule does not exclude to hits, ascending, and returns how many; a NaN is never
  // excluded. key (rows), norm2 (rows), norm (rows), hits (rows).
  size_t (*select)(const float* key, const float* norm2, const float* norm, size_t rows, const SelectRule& rule,
                   uint32_t* hits);

  // The definition of exact: over values widened to fp64, eight partial sums by i mod 8, ascending, no fused
  // operations, combined ((0+1)+(2+3))+((4+5)+(6+7)).
  double (*exact_dot)(const float* x, const float* q, size_t d);
  double (*exact_l2)(const float* x, const float* q, size_t d);

  // The index of the first NaN or infinity in x (n), or n.
  size_t (*first_non_finite)(const float* x, size_t n);

  // How many bits of words (n) are set. Without an instruction for it the compiler counts through a table.
  size_t (*count_bits)(const uint64_t* words, size_t n);

  // Elementwise over n values: acc += x; acc = max(acc, x); acc /= divisor.
  void (*add)(float* acc, const float* x, size_t n);
  void (*max)(float* acc, const float* x, size_t n);
  void (*divide)(float* acc, float divisor, size_t n);

  // The loops over int8 codes. What they compute depends on the table; the bounds made of it hold for each.
  const CodeKernels* codes;
};

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;  // also "avx512"
extern const Kernels kNeonKernels;
extern const Kernels kNeonDotKernels;  // also "neon"

// The table for this machine, or the one that FLATRANK_ISA=scalar|avx2|avx512|neon names. Chosen at the first call.
// Throws Error(kUnsupported) where FLATRANK_ISA names none, or one this machine cannot run.
const Kernels& ActiveKernels();

// The table of that name where this machine can run it, else null.
const Kernels* KernelsNamed(const char* name);

}  // namespace flatrank

#endif  // FLATRANK_KERNELS_KERNELS_H_
