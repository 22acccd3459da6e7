#include "merge/merge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"
#include "core/thread_pool.h"

namespace flatrank {

namespace {

constexpr size_t kSerialEntries = 4096;  // below this waking a thread costs more than it brings
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Entry {
  float key;  // smaller is better
  int32_t label;

  bool operator<(const Entry& other) const { return key < other.key || (key == other.key && label < other.label); }
};

int ThreadsFor(size_t entries, int max_threads) { return entries < kSerialEntries ? 1 : max_threads; }

std::ptrdiff_t BestOf(const std::vector<Entry>& entries, size_t k) {
  return static_cast<std::ptrdiff_t>(std::min(k, entries.size()));
}

// Brings the k best to the front, in order.
void SortBest(std::vector<Entry>& entries, size_t k) {
  std::partial_sort(entries.begin(), entries.begin() + BestOf(entries, k), entries.end());
}

bool RepeatsLabel(const std::vector<Entry>& entries, size_t k) {
  std::vector<int32_t> labels;
  for (auto entry = entries.begin(); entry != entries.begin() + BestOf(entries, k); ++entry)
    labels.push_back(entry->label);
  std::sort(labels.begin(), labels.end());
  return std::adjacent_find(labels.begin(), labels.end()) != labels.end();
}

void KeepBestOfEachLabel(std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.label < b.label || (a.label == b.label && a.key < b.key); });
  entries.erase(
      std::unique(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.label == b.label; }),
      entries.end());
}

// Writes the first k as sign * key, padded.
void Write(const std::vector<Entry>& entries, size_t k, float sign, float* keys, int32_t* labels) {
  const size_t found = std::min(k, entries.size());
  for (size_t i = 0; i < k; ++i) {
    keys[i] = sign * (i < found ? entries[i].key : kInfinity);
    labels[i] = i < found ? entries[i].label : -1;
  }
}

void CheckNumber(float value, size_t query, const char* what) {
  if (std::isnan(value))
    throw Error(kNonFinite, std::string("Expected `") + what + "` to hold numbers but received NaN for query " +
                                std::to_string(query));
}

}  // namespace

void MergeShards(const std::vector<ShardResult>& shards, size_t nq, size_t k, bool descending, int max_threads,
                 const Cancellation& cancellation, float* distances, int32_t* labels) {
  const float sign = descending ? -1.0f : 1.0f;
  size_t entries_per_query = 0;
  for (const ShardResult& shard : shards) entries_per_query += shard.k;
  ThreadPool::Shared().ParallelFor(nq, ThreadsFor(nq * entries_per_query, max_threads), [&](size_t query, int) {
    cancellation.ThrowIfCancelled();
    std::vector<Entry> entries;
    entries.reserve(entries_per_query);
    for (const ShardResult& shard : shards) {
      for (size_t i = query * shard.k; i < (query + 1) * shard.k; ++i) {
        if (shard.labels[i] < 0) continue;
        CheckNumber(shard.distances[i], query, "distances");
        const int64_t label = int64_t{shard.labels[i]} + shard.label_offset;
        if (label < 0 || label > std::numeric_limits<int32_t>::max())
          throw Error(kInvalidArgument,
                      "Expected labels with their offset to fit 32 bits but received " + std::to_string(label));
        entries.push_back({sign * shard.distances[i], static_cast<int32_t>(label)});
      }
    }
    SortBest(entries, k);
    Write(entries, k, sign, distances + query * k, labels + query * k);
  });
}

void MergeRerank(const RerankLists& lists, size_t k, int max_threads, const Cancellation& cancellation, float* scores,
                 int32_t* labels) {
  if (lists.offsets[0] != 0 || lists.offsets[lists.nq] != static_cast<int64_t>(lists.entries) ||
      !std::is_sorted(lists.offsets, lists.offsets + lists.nq + 1))
    throw Error(kInvalidArgument, "Expected `offsets` to ascend from 0 to " + std::to_string(lists.entries));
  ThreadPool::Shared().ParallelFor(lists.nq, ThreadsFor(lists.entries, max_threads), [&](size_t query, int) {
    cancellation.ThrowIfCancelled();
    std::vector<Entry> entries;
    for (int32_t i = lists.offsets[query]; i < lists.offsets[query + 1]; ++i) {
      CheckNumber(lists.scores[i], query, "scores");
      entries.push_back({-lists.scores[i], lists.labels[i]});
    }
    SortBest(entries, k);
    // A label given twice matters only where it stands twice among the best.
    if (RepeatsLabel(entries, k)) {
      KeepBestOfEachLabel(entries);
      SortBest(entries, k);
    }
    Write(entries, k, -1.0f, scores + query * k, labels + query * k);
  });
}

}  // namespace flatrank
