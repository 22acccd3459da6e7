#ifndef FLATRANK_INDEX_REFINE_H_
#define FLATRANK_INDEX_REFINE_H_

#include "core/cancellation.h"
#include "index/candidates.h"
#include "index/scan.h"

namespace flatrank {

// Gives the rows that the scans left over their keys, so that every collector holds the nearest of its query;
// collectors (count) are those of queries [first, first + count).
void RefineCandidates(const Queries& queries, size_t first, size_t count, Candidates* collectors, int max_threads,
                      const Cancellation& cancellation);

}  // namespace flatrank

#endif  // FLATRANK_INDEX_REFINE_H_
