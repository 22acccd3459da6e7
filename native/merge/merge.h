// Merging of what several searches or rerankers found.
#ifndef FLATRANK_MERGE_MERGE_H_
#define FLATRANK_MERGE_MERGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cancellation.h"

namespace flatrank {

// The result of one shard's search: distances and labels (nq, k), ordered, padded with label -1. `label_offset` is
// added to its labels.
struct ShardResult {
  const float* distances;
  const int32_t* labels;
  size_t k;
  int32_t label_offset;
};

// The k best of all shards for each of nq queries, ordered by distance (ascending, or descending for similarities) and
// then by label; out (nq, k), padded with label -1 and an infinite distance. Throws Error(kNonFinite) for a NaN,
// Error(kInvalidArgument) for a label beyond int32.
void MergeShards(const std::vector<ShardResult>& shards, size_t nq, size_t k, bool descending, int max_threads,
                 const Cancellation& cancellation, float* distances, int32_t* labels);

// Candidates of nq queries with their relevance: query i has entries offsets[i] .. offsets[i + 1].
struct RerankLists {
  const int32_t* labels;
  const float* scores;
  const int32_t* offsets;  // (nq + 1)
  size_t entries;
  size_t nq;
};

// The k most relevant candidates of each query, by score descending and then label ascending; a label given twice
// counts once, with its best score. out (nq, k), padded with label -1 and score -infinity. Throws Error(kNonFinite) for
// a NaN score, Error(kInvalidArgument) for offsets that are not ascending from 0 to entries.
void MergeRerank(const RerankLists& lists, size_t k, int max_threads, const Cancellation& cancellation, float* scores,
                 int32_t* labels);

}  // namespace flatrank

#endif  // FLATRANK_MERGE_MERGE_H_
