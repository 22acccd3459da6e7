// The reference: what every other table is held against.
#include <cmath>

#include "kernels/kernels.h"

namespace flatrank {

namespace {

constexpr size_t kLanes = 8;

template <typename T>
T Combine(const T (&s)[kLanes]) {
  return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

template <typename T>
T Dot(const float* x, const float* q, size_t d) {
  T sums[kLanes] = {};
  for (size_t i = 0; i < d; ++i) sums[i % kLanes] += static_cast<T>(x[i]) * static_cast<T>(q[i]);
  return Combine(sums);
}

template <typename T>
T L2(const float* x, const float* q, size_t d) {
  T sums[kLanes] = {};
  for (size_t i = 0; i < d; ++i) {
    const T difference = static_cast<T>(x[i]) - static_cast<T>(q[i]);
    sums[i % kLanes] += difference * difference;
  }
  return Combine(sums);
}

void DotTile(const float* x, size_t rows, const float* q, size_t nq, size_t d, float* out, size_t ld) {
  for (size_t j = 0; j < nq; ++j)
    for (size_t r = 0; r < rows; ++r) out[j * ld + r] = Dot<float>(x + r * d, q + j * d, d);
}

void L2Tile(const float* x, size_t rows, const float* q, size_t nq, size_t d, float* out, size_t ld) {
  for (size_t j = 0; j < nq; ++j)
    for (size_t r = 0; r < rows; ++r) out[j * ld + r] = L2<float>(x + r * d, q + j * d, d);
}

size_t Select(const float* key, const float* norm2, const float* norm, size_t rows, const SelectRule& rule,
              uint32_t* hits) {
  size_t count = 0;
  for (size_t r = 0; r < rows; ++r) {
    const float bound = rule.key_weight * key[r] + rule.norm2_weight * norm2[r] - rule.norm_weight * norm[r];
    if (!(bound > rule.threshold)) hits[count++] = static_cast<uint32_t>(r);
  }
  return count;
}

size_t CountBits(const uint64_t* words, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) count += static_cast<size_t>(__builtin_popcountll(words[i]));
  return count;
}

size_t FirstNonFinite(const float* x, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (!std::isfinite(x[i])) return i;
  return n;
}

void Add(float* acc, const float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) acc[i] += x[i];
}

void Max(float* acc, const float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) acc[i] = acc[i] > x[i] ? acc[i] : x[i];
}

void Divide(float* acc, float divisor, size_t n) {
  for (size_t i = 0; i < n; ++i) acc[i] /= divisor;
}

}  // namespace

const Kernels kScalarKernels = {"scalar",       kLanes,    DotTile, L2Tile, Select, Dot<double>,  L2<double>,
                                FirstNonFinite, CountBits, Add,     Max,    Divide, &kScalarCodes};

}  // namespace flatrank
