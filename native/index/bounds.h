// How far the fp32 scan can be from the defined distance.
//
// Notation: u = 2^-24 and v = 2^-53 are the unit roundoffs of fp32 and fp64, gamma(m) = m u / (1 - m u) bounds the
// relative error of a value that passed through m fp32 roundings (Higham, Accuracy and Stability of Numerical
// Algorithms, lemma 3.1). d is the dimension, L the scan's partial sums (Kernels::lanes). `E` is the distance as it is
// defined (fp64, kernels.h), `D` its real value.
//
// Inner product. Every product passes through at most m = ceil(d / L) + L roundings of the scan (one for the product
// where it is not fused, one a step of its lane, at most L - 1 to add the lanes up, one to spare), so the scan's dot s
// has |s - x.q| <= gamma(m) sum |x_i q_i| <= gamma(m) |x| |q|, and by the same lemma in fp64 |E - x.q| <= (d + 8) v |x|
// |q| up to second order. Together: |s - E| <= dot_error |x| |q|.
//
// Squared L2 from dots. D = |x|^2 + |q|^2 - 2 x.q. With |x|^2 in [low_x, high_x] and |q|^2 in [low_q, high_q]:
//   low_x + low_q - 2 s - 2 dot_error |x| |q| <= D <= high_x + high_q - 2 s + 2 dot_error |x| |q|,
// and |E - D| <= (d + 8) v D <= 2 (d + 8) v (high_x + high_q). `fp64_error` is twice that, for the fp64 arithmetic on
// the bounds themselves.
//
// Squared L2 from differences. x_i - q_i is rounded once and squared, so each term carries (1 + u)^2 and then m
// roundings: |s - D| <= gamma(m + 2) D, hence D in [s / (1 + g), s / (1 - g)].
//
// Underflow: each of at most 2 d operations of the scan loses at most 2^-149 absolutely; `tiny` covers them all.
// Overflow: as long as the squared norms stay below kMaxNorm2, no intermediate value can reach the fp32 range's end
// (partial sums are at most |x| |q|, and |x - q|^2 <= 2 (|x|^2 + |q|^2)). Beyond it the scan is not used.
#ifndef FLATRANK_INDEX_BOUNDS_H_
#define FLATRANK_INDEX_BOUNDS_H_

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/host_device.h"

namespace flatrank {

inline constexpr double kMaxNorm2 = 1e36;

struct ScanError {
  ScanError(size_t d, size_t lanes) {
    constexpr double u = 0x1p-24, v = 0x1p-53;
    const auto gamma = [](double m) { return m * u / (1 - m * u); };
    const double roundings = static_cast<double>((d + lanes - 1) / lanes + lanes);
    fp64_error = 4 * static_cast<double>(d + 8) * v;
    dot_error = gamma(roundings) + fp64_error;
    difference_error = gamma(roundings + 2) + fp64_error;
    tiny = static_cast<double>(d + 8) * 0x1p-146;
  }

  double dot_error;         // times |x| |q|
  double difference_error;  // times D
  double fp64_error;        // times |x|^2 + |q|^2
  double tiny;
};

// The nearest fp32 values on either side. Every candidate passes here: without std::nextafter, which no compiler
// inlines, and without a branch, which half of the values would take. What is negative, -0 included, has the next
// smaller value one bit pattern above it, the rest one below.
FLATRANK_HOST_DEVICE inline float RoundDown(double value) {
  const float rounded = static_cast<float>(value);
  const uint32_t bits = std::bit_cast<uint32_t>(rounded), negative = bits >> 31;
  const uint32_t above = static_cast<double>(rounded) > value ? 1 : 0;
  return std::bit_cast<float>(bits + (above & negative) - (above & (negative ^ 1)));
}
FLATRANK_HOST_DEVICE inline float RoundUp(double value) { return -RoundDown(-value); }

}  // namespace flatrank

#endif  // FLATRANK_INDEX_BOUNDS_H_
