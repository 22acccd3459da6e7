// The runtime's errors, device, launches, streams and events.
#include "runtime.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "emulation.h"
#include "runtime_checks.h"
#include "scheduler.h"

struct CUstream_st {
  unsigned flags;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point time;
};

namespace {

namespace emulation = flatrank::emulation;
using emulation::internal::CheckDevice;
using emulation::internal::Result;
using emulation::internal::Touch;

thread_local cudaError_t last_error = cudaSuccess;
thread_local int chosen_device = 0;

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

}  // namespace

namespace flatrank::emulation::internal {

cudaError_t Result(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t CheckDevice(int device) {
  if (device_count <= 0) return cudaErrorNoDevice;
  return device >= 0 && device < device_count ? cudaSuccess : cudaErrorInvalidDevice;
}

void Touch(cudaStream_t stream) {
  if (stream != nullptr) static_cast<void>(*const_cast<const volatile unsigned*>(&stream->flags));
}
void Touch(cudaEvent_t event) { static_cast<void>(*reinterpret_cast<const volatile char*>(event)); }

void LaunchKernel(dim3 grid, dim3 block, void (*run)(const void*), const void* arguments) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) {
    Result(error);
    return;
  }
  const bool block_fits = block.x >= 1 && block.x <= 1024 && block.y >= 1 && block.y <= 1024 && block.z >= 1 &&
                          block.z <= 64 && size_t{block.x} * block.y * block.z <= 1024;
  const bool grid_fits =
      grid.x >= 1 && grid.x <= 0x7fffffffU && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
  if (!block_fits || !grid_fits) {
    Result(cudaErrorInvalidConfiguration);
    return;
  }
  RunGrid(grid, block, run, arguments);
  ++launches;
}

}  // namespace flatrank::emulation::internal

const char* cudaGetErrorString(cudaError_t error) {
  for (const ErrorText& known : kErrors)
    if (known.error == error) return known.text;
  return "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) {
  for (const ErrorText& known : kErrors)
    if (known.error == error) return known.name;
  return "unrecognized error code";
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = std::max(emulation::device_count.load(), 0);
  return Result(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  const cudaError_t error = CheckDevice(device);
  if (error == cudaSuccess) chosen_device = device;
  return Result(error);
}

cudaError_t cudaGetDevice(int* device) {
  *device = chosen_device;
  return Result(CheckDevice());
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (const cudaError_t error = CheckDevice(device); error != cudaSuccess) return Result(error);
  *properties = {};
  std::strcpy(properties->name, "CUDA emulation");
  properties->totalGlobalMem = emulation::memory_limit;
  properties->sharedMemPerBlock = 48 << 10;
  properties->warpSize = warpSize;
  properties->maxThreadsPerBlock = 1024;
  properties->major = 8;
  properties->minor = 0;
  properties->multiProcessorCount = 2;
  properties->l2CacheSize = 4 << 20;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->sharedMemPerMultiprocessor = 96 << 10;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = properties.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = properties.warpSize;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = properties.l2CacheSize;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = properties.maxThreadsPerMultiProcessor;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(properties.sharedMemPerMultiprocessor);
      return cudaSuccess;
  }
  return Result(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceSynchronize() { return Result(CheckDevice()); }

// A machine without a GPU has no driver.
cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulation::device_count > 0 ? 13000 : 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  *stream = new CUstream_st{flags};
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return Result(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Touch(stream);
  return Result(CheckDevice());
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  Touch(event);
  return cudaStreamSynchronize(stream);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  *event = new CUevent_st{};
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  Touch(stream);
  event->time = std::chrono::steady_clock::now();
  return Result(CheckDevice());
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  Touch(event);
  return Result(CheckDevice());
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return cudaEventQuery(event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (from == nullptr || to == nullptr) return Result(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}
