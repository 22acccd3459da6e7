#ifndef FLATRANK_CUDA_BLOCK_H_
#define FLATRANK_CUDA_BLOCK_H_

#include "cuda/library.h"
#include "cuda/memory.h"

namespace flatrank::cuda {

struct DeviceBlock {
  DeviceBlock(size_t row_capacity, size_t d, size_t padded_dimension)
      : capacity(row_capacity),
        dimension(d),
        padded(padded_dimension),
        values(row_capacity * d),
        codes(row_capacity * padded_dimension),
        terms(row_capacity) {}

  // What was written has arrived when these return, also where they throw.
  void Write(const RowsToWrite& rows) const;
  void Write(const CodesToWrite& rows) const;

  // Frees what writing keeps for later.
  static void FreeIdle();

  const size_t capacity, dimension, padded;
  const DeviceArray<float> values;    // (capacity, dimension)
  const DeviceArray<int8_t> codes;    // (capacity, padded)
  const DeviceArray<RowTerms> terms;  // (capacity)
};

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_BLOCK_H_
