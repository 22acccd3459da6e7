// The emulation's runtime: memory, copies, errors, streams and events.
#include <cstdint>
#include <string>
#include <vector>

#include "testing.h"

namespace flatrank::test {

__global__ void Nothing() {}

TEST(EmulationLimitsMemory) {
  const size_t before = emulation::allocated, limit = emulation::memory_limit;
  emulation::memory_limit = before + 1000;
  void* first = nullptr;
  void* second = nullptr;
  CHECK(cudaMalloc(&first, 600) == cudaSuccess && emulation::allocated == before + 600);
  CHECK(reinterpret_cast<uintptr_t>(first) % 256 == 0 && static_cast<unsigned char*>(first)[599] == 0xA5);
  CHECK(cudaMalloc(&second, 401) == cudaErrorMemoryAllocation && second == nullptr);
  CHECK(cudaPeekAtLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
  size_t free = 0, total = 0;
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess && free == 400 && total == before + 1000);
  CHECK(cudaMallocAsync(&second, 400, nullptr) == cudaSuccess);
  CHECK(cudaFreeAsync(second, nullptr) == cudaSuccess && cudaFree(first) == cudaSuccess);
  CHECK(emulation::allocated == before && cudaFree(&first) == cudaErrorInvalidValue);
  emulation::memory_limit = limit;
  cudaGetLastError();
}

TEST(EmulationChecksCopiesAndLaunches) {
  const Device<int> device(std::vector<int>{1, 2, 3, 4, 5, 6});
  int host[6] = {};
  CHECK(cudaMemcpy(host, device.data(), 28, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, device.data(), 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy2DAsync(host, 8, device.data() + 1, 12, 8, 2, cudaMemcpyDeviceToHost, nullptr) == cudaSuccess);
  CHECK(host[0] == 2 && host[1] == 3 && host[2] == 5 && host[3] == 6);
  CHECK(cudaMemsetAsync(device.data(), 0, 24) == cudaSuccess && device.Get() == std::vector<int>(6));
  cudaGetLastError();
  cuda::Launch(Nothing, 1, 1025, nullptr);
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
  cuda::Launch(Nothing, 0, 32, nullptr);
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
}

TEST(EmulationIsAMachineWithoutADevice) {
  emulation::device_count = 0;
  int count = 1;
  void* memory = nullptr;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
  CHECK(cudaMalloc(&memory, 1) == cudaErrorNoDevice && cudaSetDevice(0) == cudaErrorNoDevice);
  CHECK(std::string(cudaGetErrorString(cudaGetLastError())) == "no CUDA-capable device is detected");
  emulation::device_count = 1;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess && count == 1 && cudaSetDevice(1) == cudaErrorInvalidDevice);
  cudaGetLastError();
}

TEST(EmulationHasStreamsAndEvents) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  CHECK(cudaEventRecord(event, stream) == cudaSuccess && cudaStreamWaitEvent(stream, event, 0) == cudaSuccess);
  CHECK(cudaEventSynchronize(event) == cudaSuccess && cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  CHECK(cudaEventDestroy(event) == cudaSuccess && cudaStreamDestroy(stream) == cudaSuccess);
  float* pinned = nullptr;
  const size_t before = emulation::pinned;
  CHECK(cudaMallocHost(&pinned, 64) == cudaSuccess && emulation::pinned == before + 64);
  CHECK(cudaFreeHost(pinned) == cudaSuccess && emulation::pinned == before);
}

}  // namespace flatrank::test
