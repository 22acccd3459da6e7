#ifndef FLATRANK_INDEX_FLAT_INDEX_H_
#define FLATRANK_INDEX_FLAT_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/cancellation.h"
#include "index/block.h"
#include "index/block_codes.h"
#include "index/entry.h"
#include "index/selection.h"

namespace flatrank {

// How an index cuts its rows into blocks.
struct BlockSizes {
  size_t least_coded_rows = 0;           // a block of fewer has no codes; 0: as many as pay for them
  size_t most_bytes = size_t{64} << 20;  // of a block's values
};

// An exact index over rows of fp32 values, as faiss IndexFlatL2 and IndexFlatIP.
//
// One writer at a time stages rows and commits or rolls them back, maps a file, removes rows or resets; any number of
// searches run beside it, each on the snapshot that was current when it was taken. Rows given are finite: others are
// refused.
class FlatIndex {
 public:
  // Labels are int32; the 2^31st row is refused.
  static constexpr size_t kMaxRows = (size_t{1} << 31) - 1;
  static constexpr size_t kMaxDimension = size_t{1} << 16;

  // `coded`: int8 codes are kept beside the rows. Throws Error(kInvalidArgument) for a dimension of 0 or above
  // kMaxDimension.
  FlatIndex(size_t dimension, Metric metric, bool coded, const BlockSizes& sizes = {});

  size_t dimension() const { return space_.dimension; }
  Metric metric() const { return space_.metric; }
  const CodeSpace& space() const { return space_; }
  size_t ntotal() const;
  size_t memory_bytes() const;

  // Copies rows (n, dimension) behind the staged ones; `more` says how many will follow in the same transaction, so
  // that room is made at once. Throws Error(kCapacity) or std::bad_alloc, changing nothing.
  void Stage(const float* rows, size_t n, size_t more = 0);
  // Stages the rows (n, dimension) that lie in a file at `offset`, little-endian and row-major, without reading them
  // into memory: they stay where they are. Throws Error(kNotFound), Error(kBadFile), Error(kCapacity), changing
  // nothing. `prepared`, where it is not empty, is a file of what WritePrepared wrote for these rows: then Commit need
  // not read them; `code_rows`, where that is not empty either, one of what WriteCodeRows wrote.
  void StageMapped(const std::string& path, uint64_t offset, size_t n, const std::string& prepared = {},
                   const std::string& code_rows = {});
  // The CRC-32 of each row staged by the last StageMapped, before Commit: rows are held against them when they are
  // first looked at, and a search that meets another throws Error(kBadFile). `code_rows` are those of the file of that
  // name. Throws Error(kInvalidArgument) for another number.
  void ExpectChecksums(std::vector<uint32_t> sums, std::vector<uint32_t> code_rows = {});
  // Checks, measures and codes the staged rows and makes them visible at once. Where it throws (Error(kNonFinite),
  // Error(kCancelled)) they are still staged: roll back.
  void Commit(int max_threads, const Cancellation& cancellation);
  void Rollback();

  // Removes the rows that are in `selection`; those behind them move up. Returns how many. Nothing may be staged. Where
  // it throws (Error(kCancelled), std::bad_alloc) nothing has changed.
  size_t Remove(const Selection& selection, int max_threads, const Cancellation& cancellation);
  // Forgets every row.
  void Reset();

  Snapshot TakeSnapshot() const;

 private:
  size_t NextCapacity(size_t rows_wanted) const;
  size_t RowsInAll() const { return entries_.empty() ? 0 : entries_.back().end(); }
  void CheckCapacity(size_t n) const;
  void Append(std::shared_ptr<Block> block, size_t staged);
  void Publish(std::vector<Entry> entries);

  const CodeSpace space_;
  const bool coded_;
  const size_t largest_block_;  // rows

  mutable std::mutex mutex_;  // guards what follows; held only briefly. Only the writer changes it.
  std::vector<Entry> entries_;
  size_t committed_ = 0;
};

// The exact k nearest rows of each query among those selected (null: all), by the definition in kernels.h and then the
// lower label, whatever the number of queries, threads and the instruction set. queries (nq, dimension); distances and
// labels (nq, k), padded with label -1 and distance infinity (L2) or -infinity (inner product). Throws
// Error(kNonFinite) for such a query.
struct SearchOptions {
  const Selection* selection = nullptr;
  int max_threads = 1;
};
void Search(const Snapshot& snapshot, const CodeSpace& space, const float* queries, size_t nq, size_t k,
            const SearchOptions& options, const Cancellation& cancellation, float* distances, int32_t* labels);

// About how many seconds a search of that many queries takes one thread. Only speed depends on it.
double SearchSeconds(const Snapshot& snapshot, size_t dimension, size_t nq);

// The rows whose squared distance is below, or inner product above, `radius`; those of query j, nearest first, are
// distances and labels [limits[j], limits[j + 1]).
struct RangeResult {
  std::vector<size_t> limits;  // (nq + 1)
  std::vector<float> distances;
  std::vector<int32_t> labels;
};
RangeResult RangeSearch(const Snapshot& snapshot, const CodeSpace& space, const float* queries, size_t nq,
                        double radius, const SearchOptions& options, const Cancellation& cancellation);

// Throws Error(kNonFinite) that names the first such value of x (n, dimension).
void CheckFinite(const char* name, const float* x, size_t n, size_t dimension);

}  // namespace flatrank

#endif  // FLATRANK_INDEX_FLAT_INDEX_H_
