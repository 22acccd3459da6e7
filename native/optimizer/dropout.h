// Dropout masks (Srivastava et al. 2014) as a function of a key and a place, with no state between calls: a step that
// is run again has the same masks.
#ifndef FLATRANK_OPTIMIZER_DROPOUT_H_
#define FLATRANK_OPTIMIZER_DROPOUT_H_

#include <cstddef>
#include <cstdint>

namespace flatrank {

// The key of one mask: of a run's seed, its step and the place in the model where values are dropped.
uint64_t DropoutKey(uint64_t seed, uint64_t step, uint64_t site);

// mask (n): 1 keeps, 0 drops, which happens with `probability` rounded to a multiple of 2^-16. Value i depends on the
// key and i alone.
void DropoutMask(uint64_t key, double probability, uint8_t* mask, size_t n, int max_threads);

}  // namespace flatrank

#endif  // FLATRANK_OPTIMIZER_DROPOUT_H_
