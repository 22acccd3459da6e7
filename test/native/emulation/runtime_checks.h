// What the runtime's functions check, and the errors that they note.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_RUNTIME_CHECKS_H_
#define FLATRANK_TEST_NATIVE_EMULATION_RUNTIME_CHECKS_H_

#include "runtime.h"

namespace flatrank::emulation::internal {

// Notes an error for cudaGetLastError(); returns it.
cudaError_t Result(cudaError_t error);

// cudaSuccess where there is a device, and it is this one.
cudaError_t CheckDevice(int device = 0);

// Touched, so that AddressSanitizer sees the use of one destroyed.
void Touch(cudaStream_t stream);
void Touch(cudaEvent_t event);

}  // namespace flatrank::emulation::internal

#endif  // FLATRANK_TEST_NATIVE_EMULATION_RUNTIME_CHECKS_H_
