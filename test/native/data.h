// Vectors of the kinds that break searches.
#ifndef FLATRANK_TEST_NATIVE_DATA_H_
#define FLATRANK_TEST_NATIVE_DATA_H_

#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace flatrank::test {

using Vectors = std::vector<float>;  // (n, d), row-major

inline Vectors Gaussian(size_t n, size_t d, unsigned seed, float scale = 1, float offset = 0) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Vectors x(n * d);
  for (float& value : x) value = offset + scale * normal(generator);
  return x;
}

// Small integers: every fp32 sum is exact, so any two kernels must agree to the bit.
inline Vectors Integers(size_t n, size_t d, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int> uniform(-8, 8);
  Vectors x(n * d);
  for (float& value : x) value = static_cast<float>(uniform(generator));
  return x;
}

inline const std::vector<std::string>& Kinds() {
  static const std::vector<std::string> kinds = {"gaussian", "integers", "duplicates", "far near-duplicates",
                                                 "outliers", "zeros",    "huge",       "overflowing",
                                                 "tiny",     "denormal"};
  return kinds;
}

inline Vectors Make(const std::string& kind, size_t n, size_t d, unsigned seed) {
  if (kind == "integers") return Integers(n, d, seed);
  if (kind == "zeros") return Vectors(n * d);
  if (kind == "huge") return Gaussian(n, d, seed, 1e16f);
  if (kind == "overflowing") return Gaussian(n, d, seed, 1e30f);
  if (kind == "tiny") return Gaussian(n, d, seed, 1e-20f);
  if (kind == "denormal") return Gaussian(n, d, seed, 1e-42f);
  if (kind == "far near-duplicates") {
    // 100 away from the origin, 1e-3 from each other: the expanded form of the distance has nothing left.
    Vectors x = Gaussian(n, d, seed, 1e-3f);
    const Vectors center = Gaussian(1, d, 7, 10, 100);
    for (size_t i = 0; i < x.size(); ++i) x[i] += center[i % d];
    return x;
  }
  Vectors x = Gaussian(n, d, seed);
  if (kind == "duplicates") {
    for (size_t i = 0; i < x.size(); ++i) x[i] = x[(i / d % 5) * d + i % d];
  }
  if (kind == "outliers") {
    for (size_t i = 0; i < x.size(); i += d) x[i] *= 1000;
  }
  return x;
}

}  // namespace flatrank::test

#endif  // FLATRANK_TEST_NATIVE_DATA_H_
