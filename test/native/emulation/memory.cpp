// The runtime's memory: allocations, copies and fills.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "emulation.h"
#include "runtime_checks.h"

namespace {

namespace emulation = flatrank::emulation;
using emulation::internal::CheckDevice;
using emulation::internal::Result;
using emulation::internal::Touch;

std::mutex memory_mutex;  // guards the two maps
using Allocations = std::map<uintptr_t, size_t>;
Allocations& DeviceMemory() {
  static auto* const allocations = new Allocations;
  return *allocations;
}
Allocations& PinnedMemory() {
  static auto* const allocations = new Allocations;
  return *allocations;
}

cudaError_t Allocate(void** memory, size_t bytes, Allocations& allocations, std::atomic<size_t>& total, size_t limit) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  if (memory == nullptr) return Result(cudaErrorInvalidValue);
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  std::lock_guard<std::mutex> lock(memory_mutex);
  if (total > limit || bytes > limit - total) return Result(cudaErrorMemoryAllocation);
  void* block = nullptr;
  if (posix_memalign(&block, 256, bytes) != 0) return Result(cudaErrorMemoryAllocation);
  std::memset(block, 0xA5, bytes);
  allocations[reinterpret_cast<uintptr_t>(block)] = bytes;
  total += bytes;
  *memory = block;
  return cudaSuccess;
}

cudaError_t Free(void* memory, Allocations& allocations, std::atomic<size_t>& total) {
  if (memory == nullptr) return cudaSuccess;
  std::lock_guard<std::mutex> lock(memory_mutex);
  const auto found = allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == allocations.end()) return Result(cudaErrorInvalidValue);
  total -= found->second;
  allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

enum class Place { kHost, kDevice, kOverrun };

// Where the bytes are; kOverrun if they begin in device memory and do not end in it.
Place PlaceOf(const void* memory, size_t bytes) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  const Allocations& allocations = DeviceMemory();
  const auto address = reinterpret_cast<uintptr_t>(memory);
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return Place::kHost;
  const auto& [begin, size] = *--after;
  if (address - begin >= size) return Place::kHost;
  return bytes <= size - (address - begin) ? Place::kDevice : Place::kOverrun;
}

cudaError_t CheckCopy(const void* to, size_t to_bytes, const void* from, size_t from_bytes, cudaMemcpyKind kind) {
  const Place to_place = PlaceOf(to, to_bytes), from_place = PlaceOf(from, from_bytes);
  if (to_place == Place::kOverrun || from_place == Place::kOverrun) return cudaErrorInvalidValue;
  if (kind == cudaMemcpyDefault) return cudaSuccess;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return (to_place == Place::kDevice) == to_device && (from_place == Place::kDevice) == from_device
             ? cudaSuccess
             : cudaErrorInvalidValue;
}

}  // namespace

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  *total = emulation::memory_limit;
  *free = *total - std::min(*total, emulation::allocated.load());
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return Allocate(memory, bytes, DeviceMemory(), emulation::allocated, emulation::memory_limit);
}
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t stream) {
  Touch(stream);
  return cudaMalloc(memory, bytes);
}
cudaError_t cudaFree(void* memory) { return Free(memory, DeviceMemory(), emulation::allocated); }
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  Touch(stream);
  return cudaFree(memory);
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return Allocate(memory, bytes, PinnedMemory(), emulation::pinned, SIZE_MAX);
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, cudaHostAllocDefault); }
cudaError_t cudaFreeHost(void* memory) { return Free(memory, PinnedMemory(), emulation::pinned); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  Touch(stream);
  return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  Touch(stream);
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  if (width == 0 || height == 0) return cudaSuccess;
  if (width > to_pitch || width > from_pitch) return Result(cudaErrorInvalidPitchValue);
  const cudaError_t error =
      CheckCopy(to, (height - 1) * to_pitch + width, from, (height - 1) * from_pitch + width, kind);
  if (error != cudaSuccess) return Result(error);
  for (size_t row = 0; row < height; ++row)
    std::memcpy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  Touch(stream);
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  if (bytes == 0) return cudaSuccess;
  if (PlaceOf(memory, bytes) != Place::kDevice) return Result(cudaErrorInvalidValue);
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) { return cudaMemsetAsync(memory, value, bytes, nullptr); }
