// Exact search over blocks in the GPU's memory, as flatrank::Search does it: codes exclude, keys decide.
#ifndef FLATRANK_CUDA_SEARCH_H_
#define FLATRANK_CUDA_SEARCH_H_

#include "cuda/library.h"

namespace flatrank::cuda {

// Thrown where a search was told to stop.
struct Cancelled {};

void Search(const SearchCall& call);

// Frees what searches keep for later ones.
void FreeIdle();

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_SEARCH_H_
