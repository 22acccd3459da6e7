// Why the int8 codes bound a distance.
//
// Notation as in bounds.h: u = 2^-24, v = 2^-53, gamma(m) = m u / (1 - m u). c is the block's centre (fp32 values, any
// would do), x a row, q a query, y = x - c and p = q - c in real numbers; R is the rotation in real numbers: signs,
// permutations and Hadamard transforms divided by their norms, hence orthogonal. `padded` values are rotated.
//
// Rotation. Kernels compute y' for R y. The subtraction is rounded once a value, each of the 2 log2(block) levels of
// the transforms once a value; signs and the division by `block`, a power of two, are exact. One rounding a value
// changes a vector's norm by a factor within 1 +- u, a level is orthogonal up to its factor sqrt(2), so the errors add
// up to
//   |y' - R y| <= rho |y|,  rho = gamma(2 log2(block) + 1).
// Where the division underflows it loses at most 2^-150 a value, which the second transform makes at most
// padded 2^-150 of norm: `tiny` covers it.
//
// Codes. A row is stood for by X = s C, C its integer codes and s an fp32 scale; y' - X is computed value by value: the
// product is rounded (at most u |X_i|), the difference, its square and at most padded / 16 + 16 additions too, so with
// S the computed sum of squares
//   |y' - X| <= sqrt(S) (1 + gamma(padded / 16 + 20)) + 2 u |X| + underflow,  underflow = sqrt(padded 2^-148),
// the last because a square may underflow. Hence R y = X + r with |r| <= e, and likewise R p = Q + w with |w| <= f:
//   e = sqrt(S) (1 + gamma) + 2 u |X| + rho |y| + underflow + tiny.       (`residual`; rounded up, as all below are)
//
// Product. With n >= |X| and m >= |p|,  y.p = (R y).(R p) = X.Q + X.w + r.(R p), so by Cauchy and Schwarz
//   |y.p - s t dot| <= n f + e m,  X.Q = s t dot with the integer dot exact.
//
// Keys. Smaller is nearer: D = |x - q|^2 = |y|^2 + |p|^2 - 2 y.p, or D = -x.q = -y.c - c.q - y.p. Both are
//   D = A + B - g y.p,  A of the row alone, B of the query alone, g = 2 or 1.
// A and B come from the fp64 kernels; what those can be off by is `fp64_error` (bounds.h) times |y|^2, |p|^2, or
// |x||c| + |c|^2, |c||q|. The defined key E is within fp64_error (A + B), or fp64_error |x||q|, of D.
//
// Rule. The kernels evaluate in fp32  offset - (g t)(s dot) - norm_weight n - residual_weight e  with at most 6
// roundings of partial sums that are at most |offset| + g n (m + f) + g n f + g e m. 16 u of each term is given away
// for them: `offset` is A lowered by 2^-20 |A|, the weights are g (f + 2^-20 (m + 2 f)) and g m (1 + 2^-20). A row is
// dropped only where that exceeds T - B + what E and D differ by, so only where E > T.
//
// Range. With |x|^2, |q|^2 and |c|^2 at most kMaxNorm2 nothing here leaves the fp32 range; beyond it codes are not
// used.
#ifndef FLATRANK_INDEX_CODE_BOUNDS_H_
#define FLATRANK_INDEX_CODE_BOUNDS_H_

#include <bit>
#include <cmath>
#include <cstddef>

#include "index/bounds.h"
#include "kernels/codes.h"

namespace flatrank {

inline constexpr double kCodeSlack = 0x1p-20;

struct CodeError {
  CodeError(size_t dimension, size_t padded) : scan(dimension, 1) {
    constexpr double u = 0x1p-24;
    const auto gamma = [](double m) { return m * u / (1 - m * u); };
    const double n = static_cast<double>(padded);
    rotation = gamma(2 * std::countr_zero(padded) + 1);
    sum = gamma(n / 16 + 20);
    product = 2 * u;
    absolute = std::sqrt(n * 0x1p-148) + n * 0x1p-146;
  }

  // At least the norm of what the codes leave out of the rotated vector; `norm` is at least that of the vector itself.
  double Residual(const Encoded& encoded, double norm) const {
    const double coded = static_cast<double>(encoded.scale) * std::sqrt(static_cast<double>(encoded.code_norm2));
    const double residual =
        std::sqrt(static_cast<double>(encoded.residual2)) * (1 + sum) + product * coded + rotation * norm + absolute;
    return residual * (1 + 0x1p-40);
  }
  // At least the norm of what the codes stand for.
  static double CodedNorm(const Encoded& encoded) {
    return static_cast<double>(encoded.scale) * std::sqrt(static_cast<double>(encoded.code_norm2)) * (1 + 0x1p-40);
  }

  ScanError scan;   // of the fp64 kernels
  double rotation;  // rho
  double sum, product, absolute;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_CODE_BOUNDS_H_
