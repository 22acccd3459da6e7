// CUDA's execution model on the CPU: kernels and host code written for CUDA compile as plain C++20 and run on machines
// without a GPU, for tests. cuda/platform.h includes this file where the compiler is not nvcc.
//
// Compile with -ffp-contract=off, as the rounding intrinsics name every single rounding, and -fno-strict-aliasing, as
// CUDA code reads memory through vector types; -Wno-unknown-pragmas, as GCC does not know "#pragma unroll".
//
// A launch runs its kernel to the end, block after block on the calling OS thread; every CUDA thread is a fiber that
// runs until it waits for others. It is stricter than a GPU: warps do not run in lockstep, so what a missing
// __syncwarp() leaves to luck shows, and threads that meet at a barrier must meet at the same line of the source. What
// can never go on aborts with a message saying who waits where.
//
// Not seen: races between threads that the order of resumption does not bring out (try several emulation::order), reads
// of __shared__ arrays never written (they hold what the last block left), accesses to host memory from kernels, and
// blocks that wait for other blocks, which hang.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_EMULATION_H_
#define FLATRANK_TEST_NATIVE_EMULATION_EMULATION_H_

#include <atomic>
#include <cstddef>
#include <tuple>
#include <utility>

#include "atomics.h"
#include "intrinsics.h"
#include "runtime.h"
#include "tensor_cores.h"
#include "threads.h"
#include "vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__  // empty, as the standard library's headers say __attribute__((__noinline__))
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static  // blocks run one after another; alignas() stands before it, __align__() anywhere
#define __constant__ static
#define __align__(n) __attribute__((aligned(n)))

// Knobs and counters for tests.
namespace flatrank::emulation {

inline std::atomic<size_t> memory_limit{size_t{4} << 30};  // cudaMalloc fails beyond it
inline std::atomic<size_t> allocated{0};                   // bytes of device memory now
inline std::atomic<size_t> pinned{0};                      // bytes of pinned host memory now
inline std::atomic<size_t> launches{0};                    // kernels run
inline std::atomic<int> device_count{1};                   // 0: a machine without a GPU
// How the threads of a block are resumed, and the blocks of a grid run: 0 in ascending, 1 in descending order, else in
// a pseudo-random one with that seed, another every round.
inline std::atomic<unsigned> order{0};

}  // namespace flatrank::emulation

namespace flatrank::cuda {

// kernel<<<grid, block, 0, stream>>>(arguments...). What is wrong with the launch is for cudaGetLastError().
template <typename... P, typename... A>
void Launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t, A&&... arguments) {
  struct Call {
    void (*kernel)(P...);
    std::tuple<P...> parameters;
  };
  const Call call{kernel, std::tuple<P...>{std::forward<A>(arguments)...}};
  emulation::internal::LaunchKernel(
      grid, block,
      [](const void* data) {
        const Call& that = *static_cast<const Call*>(data);
        std::apply(that.kernel, that.parameters);
      },
      &call);
}

}  // namespace flatrank::cuda

#endif  // FLATRANK_TEST_NATIVE_EMULATION_EMULATION_H_
