#ifndef FLATRANK_INDEX_METRIC_H_
#define FLATRANK_INDEX_METRIC_H_

namespace flatrank {

// Inside the index smaller is always nearer: a row's key is its squared distance, or its negated inner product.
enum class Metric { kL2, kInnerProduct };

}  // namespace flatrank

#endif  // FLATRANK_INDEX_METRIC_H_
