// What is held of the GPU, and given back when it goes out of scope.
#ifndef FLATRANK_CUDA_MEMORY_H_
#define FLATRANK_CUDA_MEMORY_H_

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "cuda/platform.h"

namespace flatrank::cuda {

// Throws std::bad_alloc where memory is short, else std::runtime_error with CUDA's own words.
inline void Check(cudaError_t error) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // forgets it: the next call starts anew
  if (error == cudaErrorMemoryAllocation) throw std::bad_alloc();
  throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
}

// Memory of the GPU for `size` values, not initialised.
template <typename T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(size_t size) : size_(size) {
    if (size > 0) Check(cudaMalloc(reinterpret_cast<void**>(&data_), size * sizeof(T)));
  }
  DeviceArray(DeviceArray&& other) noexcept { *this = std::move(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceArray() { cudaFree(data_); }

  // Room for at least that many values; what was there is lost where there was less.
  T* AtLeast(size_t size) {
    if (size > size_) {
      *this = DeviceArray();
      *this = DeviceArray(size);
    }
    return data_;
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

class Stream {
 public:
  Stream() { Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }

  operator cudaStream_t() const { return stream_; }
  void Wait() const { Check(cudaStreamSynchronize(stream_)); }

  template <typename T>
  void ToDevice(T* to, const T* from, size_t count) const {
    if (count > 0) Check(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyHostToDevice, stream_));
  }
  template <typename T>
  void ToHost(T* to, const T* from, size_t count) const {
    if (count > 0) Check(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToHost, stream_));
  }
  template <typename T>
  void Zero(T* at, size_t count) const {
    if (count > 0) Check(cudaMemsetAsync(at, 0, count * sizeof(T), stream_));
  }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_MEMORY_H_
