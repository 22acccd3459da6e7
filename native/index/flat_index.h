#ifndef FLATRANK_INDEX_FLAT_INDEX_H_
#define FLATRANK_INDEX_FLAT_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/cancellation.h"
#include "index/block.h"
#include "index/candidates.h"

namespace flatrank {

// An exact index over rows of fp32 values, as faiss IndexFlatL2 and IndexFlatIP.
//
// One writer at a time stages rows and commits or rolls them back; any number of searches run beside it, each on the
// snapshot that was current when it was taken. Rows given are finite: Commit refuses others.
class FlatIndex {
 public:
  // Labels are int32; the 2^31st row is refused.
  static constexpr size_t kMaxRows = (size_t{1} << 31) - 1;
  static constexpr size_t kMaxDimension = size_t{1} << 16;

  // Throws Error(kInvalidArgument) for a dimension of 0 or above kMaxDimension.
  FlatIndex(size_t dimension, Metric metric);

  size_t dimension() const { return dimension_; }
  Metric metric() const { return metric_; }
  size_t ntotal() const;
  size_t memory_bytes() const;

  // Copies rows (n, dimension) behind the staged ones. Throws Error(kCapacity) or std::bad_alloc, changing nothing.
  void Stage(const float* rows, size_t n);
  // Checks and measures the staged rows and makes them visible at once. Where it throws (Error(kNonFinite),
  // Error(kCancelled)) they are still staged: roll back.
  void Commit(int max_threads, const Cancellation& cancellation);
  void Rollback();
  // Forgets every row.
  void Reset();

  Snapshot TakeSnapshot() const;

 private:
  size_t NextCapacity(size_t rows_wanted) const;

  const size_t dimension_;
  const Metric metric_;

  mutable std::mutex mutex_;  // guards what follows; held only briefly
  std::vector<std::shared_ptr<Block>> blocks_;
  size_t committed_ = 0;
  size_t staged_ = 0;  // rows behind the committed ones
  double max_norm2_ = 0;
};

// The exact k nearest rows of each query, by the definition in kernels.h and then the lower label, whatever the number
// of queries, threads and the instruction set. queries (nq, dimension); distances and labels (nq, k), padded with
// label -1 and distance infinity (L2) or -infinity (inner product). Throws Error(kNonFinite) for such a query.
void Search(const Snapshot& snapshot, Metric metric, size_t dimension, const float* queries, size_t nq, size_t k,
            int max_threads, const Cancellation& cancellation, float* distances, int32_t* labels);

// Throws Error(kNonFinite) that names the first such value of x (n, dimension).
void CheckFinite(const char* name, const float* x, size_t n, size_t dimension);

}  // namespace flatrank

#endif  // FLATRANK_INDEX_FLAT_INDEX_H_
