// The seam between a scan and the rest of a search: a scan looks at a range of rows for a range of queries and gives
// every row that may be among the nearest, with an interval that holds its key for certain. What is exact, the order
// and the cut are decided behind it (candidates.h), so a faster scan is one more class.
#ifndef FLATRANK_INDEX_SCAN_H_
#define FLATRANK_INDEX_SCAN_H_

#include <cstddef>

#include "index/block.h"
#include "index/candidates.h"

namespace flatrank {

// The queries of one search. values (count, dimension), row-major.
struct Queries {
  const float* values;
  size_t count;
  size_t dimension;
  Metric metric;

  const float* row(size_t j) const { return values + j * dimension; }
  Refiner refiner(size_t j) const { return Refiner(row(j), dimension, metric); }
};

class Scan {
 public:
  virtual ~Scan() = default;

  // Queries that fit the caches together with the rows they meet: the caller asks for at most this many at once.
  virtual size_t QueryPanel() const = 0;

  // Scans rows [begin, end) of `block` for queries [first, first + count); collectors (count) are those of these
  // queries in this thread.
  virtual void Run(const Block& block, size_t begin, size_t end, size_t first, size_t count,
                   Candidates* collectors) const = 0;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_SCAN_H_
