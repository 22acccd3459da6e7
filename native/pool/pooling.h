// Pooling: the token vectors of a text become one vector, as sentence-transformers' Pooling and Normalize modules do.
#ifndef FLATRANK_POOL_POOLING_H_
#define FLATRANK_POOL_POOLING_H_

#include <cstddef>
#include <cstdint>

#include "core/cancellation.h"

namespace flatrank {

enum class Pooling { kMean, kCls, kMax, kMeanSqrtLen };

// Token vectors of n texts: text i has rows offsets[i] .. offsets[i] + lengths[i] of values (rows, dimension). Padded
// batches and unpadded streams are both of this form; padding is never read.
struct TokenVectors {
  const float* values;
  size_t rows;
  size_t dimension;
  const int32_t* offsets;  // (n)
  const int32_t* lengths;  // (n)
  size_t n;
};

// out (n, dimension). Tokens are added up in their order, so a text's vector does not depend on its batch, the threads
// or the instruction set. A text without tokens gives zeros. With `normalize`, each vector is divided by its L2 norm,
// at least 1e-12. Throws Error(kInvalidArgument) where a text's rows lie outside values.
void Pool(const TokenVectors& tokens, Pooling mode, bool normalize, int max_threads, const Cancellation& cancellation,
          float* out);

}  // namespace flatrank

#endif  // FLATRANK_POOL_POOLING_H_
