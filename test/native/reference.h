// What tests of indexes share: filling them, searching them, and the definition to hold the answers against.
#ifndef FLATRANK_TEST_NATIVE_REFERENCE_H_
#define FLATRANK_TEST_NATIVE_REFERENCE_H_

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "data.h"
#include "index/flat_index.h"
#include "kernels/kernels.h"

namespace flatrank::test {

inline const Cancellation kNever;

struct Found {
  std::vector<float> distances;
  std::vector<int32_t> labels;

  bool operator==(const Found& other) const { return distances == other.distances && labels == other.labels; }
};

// An index that codes as few rows as there may be, whatever their dimension.
struct TestIndex : FlatIndex {
  TestIndex(size_t d, Metric metric, bool coded) : FlatIndex(d, metric, coded, BlockSizes{kPanelRows}) {}
};

// In pieces of different sizes, so that they lie in several blocks.
inline void Fill(FlatIndex& index, const Vectors& x) {
  const size_t d = index.dimension(), n = x.size() / d;
  for (size_t begin = 0, step = 1; begin < n; begin += step, step = step * 3 + 1) {
    index.Stage(x.data() + begin * d, std::min(step, n - begin));
    index.Commit(2, kNever);
  }
}

inline Found SearchIndex(const FlatIndex& index, const float* q, size_t nq, size_t k, int threads,
                         const Selection* selection = nullptr) {
  Found found{std::vector<float>(nq * k), std::vector<int32_t>(nq * k)};
  Search(index.TakeSnapshot(), index.space(), q, nq, k, {selection, threads}, kNever, found.distances.data(),
         found.labels.data());
  return found;
}

// The key that a search orders by: smaller is nearer.
inline double KeyOf(const float* row, const float* query, size_t d, Metric metric) {
  return metric == Metric::kL2 ? kScalarKernels.exact_l2(row, query, d) : -kScalarKernels.exact_dot(row, query, d);
}

// The definition, without anything clever.
inline Found BruteForce(const Vectors& x, const Vectors& q, size_t d, size_t k, Metric metric,
                        const Selection* selection = nullptr) {
  const size_t n = x.size() / d, nq = q.size() / d;
  const float padding = std::numeric_limits<float>::infinity() * (metric == Metric::kL2 ? 1.0f : -1.0f);
  Found found{std::vector<float>(nq * k, padding), std::vector<int32_t>(nq * k, -1)};
  for (size_t j = 0; j < nq; ++j) {
    std::vector<std::pair<double, int32_t>> keys;
    for (size_t i = 0; i < n; ++i)
      if (selection == nullptr || selection->Has(i))
        keys.emplace_back(KeyOf(x.data() + i * d, q.data() + j * d, d, metric), static_cast<int32_t>(i));
    std::sort(keys.begin(), keys.end());
    for (size_t i = 0; i < std::min(k, keys.size()); ++i) {
      found.distances[j * k + i] = static_cast<float>(metric == Metric::kL2 ? keys[i].first : -keys[i].first);
      found.labels[j * k + i] = keys[i].second;
    }
  }
  return found;
}

// Labels of [0, n) for which `in` says so.
template <typename Predicate>
Selection Select(size_t n, Predicate in) {
  std::vector<uint64_t> words((n + 63) / 64);
  for (size_t i = 0; i < n; ++i)
    if (in(i)) words[i / 64] |= uint64_t{1} << (i % 64);
  return Selection(std::move(words));
}

}  // namespace flatrank::test

#endif  // FLATRANK_TEST_NATIVE_REFERENCE_H_
