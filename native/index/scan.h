// The seam between a scan and the rest of a search: a scan looks at a range of rows for a range of queries and gives
// every row that may be among the nearest, with an interval that holds its key for certain. What is exact, the order
// and the cut are decided behind it (candidates.h, refine.h), so a faster scan is one more class.
#ifndef FLATRANK_INDEX_SCAN_H_
#define FLATRANK_INDEX_SCAN_H_

#include <cstddef>

#include "index/block.h"
#include "index/candidates.h"
#include "index/selection.h"

namespace flatrank {

// The queries of one search and what they look at. values (count, dimension), row-major.
struct Queries {
  const float* values;
  size_t count;
  size_t dimension;
  Metric metric;
  const Snapshot* snapshot;
  const Selection* selection;  // null where all rows are wanted
  size_t wanted;               // rows that are

  const float* row(size_t j) const { return values + j * dimension; }
  Refiner refiner(size_t j, float* scratch) const { return Refiner(*snapshot, metric, dimension, row(j), scratch); }
  bool Wants(size_t label) const { return selection == nullptr || selection->Has(label); }
};

// Rows [begin, end) of a part.
struct RowRange {
  const Part* part;
  size_t begin, end;
};

class Scan {
 public:
  virtual ~Scan() = default;

  // Queries that fit the caches together with the rows they meet: the caller asks for at most this many at once.
  virtual size_t QueryPanel() const = 0;

  // Scans `rows` for queries [first, first + count); collectors (count) are those of these queries in this thread, and
  // `slot` tells the thread apart from the others at work.
  virtual void Run(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot) = 0;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_SCAN_H_
