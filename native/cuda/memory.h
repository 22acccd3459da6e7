// What is held of the GPU, and given back when it goes out of scope.
#ifndef FLATRANK_CUDA_MEMORY_H_
#define FLATRANK_CUDA_MEMORY_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

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

// Memory of the CPU that the GPU reads and writes itself: copies go on while the CPU does something else.
template <typename T>
class PinnedArray {
 public:
  PinnedArray() = default;
  PinnedArray(const PinnedArray&) = delete;
  PinnedArray& operator=(const PinnedArray&) = delete;
  ~PinnedArray() { cudaFreeHost(data_); }

  // Room for at least that many values; what was there is lost where there was less.
  T* AtLeast(size_t size) {
    if (size > size_) {
      cudaFreeHost(std::exchange(data_, nullptr));
      size_ = 0;
      Check(cudaMallocHost(reinterpret_cast<void**>(&data_), size * sizeof(T)));
      size_ = size;
    }
    return data_;
  }

  T* data() const { return data_; }

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

// A point in what a stream does.
class Event {
 public:
  Event() { Check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }

  void Record(const Stream& stream) const { Check(cudaEventRecord(event_, stream)); }
  // Until the stream has passed it; at once where it was never recorded.
  void Wait() const { Check(cudaEventSynchronize(event_)); }

 private:
  cudaEvent_t event_ = nullptr;
};

// Arrays that go to the GPU, or come from it, in one copy.
class Bundle {
 public:
  template <typename T>
  struct Slot {
    size_t at = 0;
  };

  void Clear() { size_ = 0; }
  template <typename T>
  Slot<T> Add(size_t count) {
    const Slot<T> slot{size_};
    size_ = (size_ + count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return slot;
  }
  // Makes room for what was added: before that there is no memory.
  void Allocate(const Stream& stream) {
    host_.AtLeast(size_);
    if (size_ <= device_.size()) return;
    device_.AtLeast(size_);
    stream.Zero(device_.data(), size_);  // what lies between the arrays is copied too
  }
  template <typename T>
  T* OnHost(Slot<T> slot) const {
    return reinterpret_cast<T*>(host_.data() + slot.at);
  }
  template <typename T>
  T* OnDevice(Slot<T> slot) const {
    return reinterpret_cast<T*>(device_.data() + slot.at);
  }
  void ToDevice(const Stream& stream) const { stream.ToDevice(device_.data(), host_.data(), size_); }
  void ToHost(const Stream& stream) const { stream.ToHost(host_.data(), device_.data(), size_); }

 private:
  static constexpr size_t kAlignment = 256;

  PinnedArray<char> host_;
  DeviceArray<char> device_;
  size_t size_ = 0;
};

// Something with a `stream` and memory, of which those that are not in use are kept for whoever comes next.
template <typename T>
class Lent {
 public:
  Lent() {
    Idle& idle = Shared();
    std::lock_guard<std::mutex> lock(idle.mutex);
    if (idle.things.empty()) idle.things.push_back(std::make_unique<T>());
    thing_ = std::move(idle.things.back());
    idle.things.pop_back();
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  // Waits for what was queued: it may read and write memory that goes with this, where an error left it behind.
  ~Lent() {
    cudaStreamSynchronize(thing_->stream);
    Idle& idle = Shared();
    std::lock_guard<std::mutex> lock(idle.mutex);
    idle.things.push_back(std::move(thing_));
  }

  T* operator->() const { return thing_.get(); }
  T& operator*() const { return *thing_; }

  // Frees those that are not in use.
  static void FreeIdle() {
    std::vector<std::unique_ptr<T>> things;
    std::lock_guard<std::mutex> lock(Shared().mutex);
    things.swap(Shared().things);
  }

 private:
  struct Idle {
    std::mutex mutex;
    std::vector<std::unique_ptr<T>> things;
  };
  // Never destroyed: when a process ends, CUDA may be gone before static objects are.
  static Idle& Shared() {
    static Idle* const idle = new Idle;
    return *idle;
  }

  std::unique_ptr<T> thing_;
};

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_MEMORY_H_
