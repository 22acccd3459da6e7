// CUDA, or where there is no compiler for it the tests' emulation of it: kernels and what calls them compile with
// either.
#ifndef FLATRANK_CUDA_PLATFORM_H_
#define FLATRANK_CUDA_PLATFORM_H_

#ifdef __CUDACC__

#include <cuda_runtime.h>
#include <mma.h>

#include <utility>

namespace flatrank::cuda {

// Starts `kernel` on `stream`. What goes wrong is found by the next Check(cudaGetLastError()).
template <typename... P, typename... A>
void Launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t stream, A&&... arguments) {
  kernel<<<grid, block, 0, stream>>>(std::forward<A>(arguments)...);
}

}  // namespace flatrank::cuda

#else

#include "emulation/emulation.h"

#endif

#endif  // FLATRANK_CUDA_PLATFORM_H_
