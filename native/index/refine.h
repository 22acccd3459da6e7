#ifndef FLATRANK_INDEX_REFINE_H_
#define FLATRANK_INDEX_REFINE_H_

#include "core/cancellation.h"
#include "index/candidates.h"
#include "index/scan.h"

namespace flatrank {

// Gives the rows that the scans left over their keys, so that every collector (queries.count) holds the nearest of its
// query.
void RefineCandidates(const Queries& queries, Candidates* collectors, int max_threads,
                      const Cancellation& cancellation);
// The same for one query, on one thread: for rows that are in its cache anyway.
void RefineQuery(const Refiner& refiner, Candidates& collector);

}  // namespace flatrank

#endif  // FLATRANK_INDEX_REFINE_H_
