// What the emulation's tests share.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_TESTING_H_
#define FLATRANK_TEST_NATIVE_EMULATION_TESTING_H_

#include <cstddef>
#include <vector>

#include "../check.h"
#include "emulation.h"

namespace flatrank::test {

inline constexpr unsigned kFull = 0xffffffffU;

// n values in device memory, copied back by Get.
template <typename T>
class Device {
 public:
  explicit Device(size_t n) : size_(n) { CHECK(cudaMalloc(&data_, n * sizeof(T)) == cudaSuccess); }
  explicit Device(const std::vector<T>& values) : Device(values.size()) {
    CHECK(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~Device() { cudaFree(data_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  T* data() const { return data_; }
  std::vector<T> Get() const {
    std::vector<T> values(size_);
    CHECK(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return values;
  }

 private:
  const size_t size_;
  T* data_ = nullptr;
};

template <typename Body>
void InEveryOrder(Body body) {
  for (const unsigned order : {0U, 1U, 7U}) {
    emulation::order = order;
    body();
  }
  emulation::order = 0;
}

}  // namespace flatrank::test

#endif  // FLATRANK_TEST_NATIVE_EMULATION_TESTING_H_
