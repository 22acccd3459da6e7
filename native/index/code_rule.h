// What a coded query asks of coded rows: the rule that excludes most of them and the interval of those it does not. On
// the GPU as on the CPU. Letters, and why it holds, in code_bounds.h.
#ifndef FLATRANK_INDEX_CODE_RULE_H_
#define FLATRANK_INDEX_CODE_RULE_H_

#include <cmath>
#include <cstdint>

#include "core/host_device.h"
#include "index/bounds.h"
#include "index/code_bounds.h"
#include "index/metric.h"
#include "kernels/codes.h"

namespace flatrank {

// What a block's rows have to know of a query.
struct QueryTerms {
  double low, high;    // bounds of B
  double scale;        // t
  double norm;         // m
  double residual;     // f
  double definition;   // what the defined key may differ by, the row's own share aside
  double offset_high;  // what A may exceed its fp32 value by, beside the relative part
  bool safe;           // nothing can leave the fp32 range
};

// A row's key lies between them.
struct Bounds {
  float lower, upper;
};

// g
FLATRANK_HOST_DEVICE inline double DotFactor(Metric metric) { return metric == Metric::kL2 ? 2 : 1; }

// Excludes rows whose key is above `threshold` for certain.
FLATRANK_HOST_DEVICE inline CodeRule RuleFor(const QueryTerms& terms, double g, float threshold) {
  const double bound = static_cast<double>(threshold);
  const double rounding = 0x1p-48 * (std::fabs(bound) + std::fabs(terms.low));
  return {static_cast<float>(g * terms.scale),
          RoundUp(g * (terms.residual + kCodeSlack * (terms.norm + 2 * terms.residual))),
          RoundUp(g * terms.norm * (1 + kCodeSlack)), RoundUp(bound - terms.low + terms.definition + rounding)};
}

FLATRANK_HOST_DEVICE inline Bounds BoundsFor(const QueryTerms& terms, const RowTerms& row, double g, int32_t dot) {
  const double offset = static_cast<double>(row.offset), norm = static_cast<double>(row.norm);
  const double product = g * static_cast<double>(row.scale) * terms.scale * dot;
  const double error = g * (norm * terms.residual + static_cast<double>(row.residual) * terms.norm) + terms.definition;
  const double rounding = 0x1p-48 * (std::fabs(offset) + std::fabs(terms.high) + std::fabs(product) + error);
  const double lower = offset + terms.low - product - error - rounding;
  const double upper =
      offset + 4 * kCodeSlack * std::fabs(offset) + terms.offset_high + terms.high - product + error + rounding;
  return {RoundDown(lower), RoundUp(upper)};
}

}  // namespace flatrank

#endif  // FLATRANK_INDEX_CODE_RULE_H_
