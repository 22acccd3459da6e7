// The library flatrank_cuda, loaded when the GPU is first asked for: a machine without one never notices it.
#ifndef FLATRANK_DEVICE_DEVICE_LIBRARY_H_
#define FLATRANK_DEVICE_DEVICE_LIBRARY_H_

#include "cuda/library.h"

namespace flatrank {

// Throws Error(kUnsupported) that says what is missing: the library, the driver or a GPU. Tried anew until it is there.
const cuda::Library& CudaLibrary();

// Throws what a status tells: std::bad_alloc, Error(kCancelled) or Error(kDevice).
void Check(const cuda::Status& status);

}  // namespace flatrank

#endif  // FLATRANK_DEVICE_DEVICE_LIBRARY_H_
