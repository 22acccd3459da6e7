#include "index/refine.h"

#include <algorithm>
#include <vector>

#include "core/thread_pool.h"

namespace flatrank {

namespace {

constexpr size_t kPairsPerTask = 128;
constexpr size_t kWorthThreads = 512;  // pairs from which waking another thread pays
constexpr size_t kWorthOrder = 2048;   // pairs from which ordering them by row pays
constexpr size_t kBuckets = 4096;

// A row whose key for a query is wanted.
struct Pair {
  uint32_t label;
  uint32_t query;
  double key;
};

// The order in which rows are met together: buckets of neighbouring rows, so that what many queries want is read once.
std::vector<uint32_t> OrderByRow(const std::vector<Pair>& pairs, size_t rows) {
  const size_t width = rows / kBuckets + 1;
  std::vector<uint32_t> ends(kBuckets + 1), order(pairs.size());
  for (const Pair& pair : pairs) ++ends[pair.label / width + 1];
  for (size_t b = 1; b <= kBuckets; ++b) ends[b] += ends[b - 1];
  for (size_t i = 0; i < pairs.size(); ++i) order[ends[pairs[i].label / width]++] = static_cast<uint32_t>(i);
  return order;
}

void Evaluate(const Queries& queries, std::vector<Pair>& pairs, int max_threads, const Cancellation& cancellation) {
  std::vector<uint32_t> order;
  if (pairs.size() >= kWorthOrder) order = OrderByRow(pairs, queries.snapshot->rows);
  const auto at = [&](size_t i) -> Pair& { return pairs[order.empty() ? i : order[i]]; };
  const size_t tasks = (pairs.size() + kPairsPerTask - 1) / kPairsPerTask;
  const int threads = pairs.size() >= kWorthThreads ? max_threads : 1;
  ThreadPool::Shared().ParallelFor(tasks, threads, [&](size_t task, int) {
    cancellation.ThrowIfCancelled();
    std::vector<float> scratch(queries.dimension);
    const size_t begin = task * kPairsPerTask, end = std::min(begin + kPairsPerTask, pairs.size());
    for (size_t i = begin; i < end; ++i) {
      if (i + 1 < end && at(i + 1).label != at(i).label) queries.refiner(0, nullptr).Prefetch(at(i + 1).label);
      Pair& pair = at(i);
      pair.key = queries.refiner(pair.query, scratch.data()).Key(pair.label);
    }
  });
}

// Drops the rows from `begin` on that the threshold has come to exclude; returns how many rows are left.
size_t DropExcluded(std::vector<Interval>& open, size_t begin, float threshold) {
  open.erase(std::remove_if(open.begin() + static_cast<std::ptrdiff_t>(begin), open.end(),
                            [=](const Interval& row) { return row.lower > threshold; }),
             open.end());
  return open.size();
}

}  // namespace

void RefineCandidates(const Queries& queries, Candidates* collectors, int max_threads,
                      const Cancellation& cancellation) {
  ThreadPool& pool = ThreadPool::Shared();
  const size_t count = queries.count;
  const int threads = count >= 16 ? max_threads : 1;
  std::vector<std::vector<Interval>> open(count);
  std::vector<size_t> begin(count), end(count), at(count + 1);
  std::vector<Pair> pairs;
  pool.ParallelFor(count, threads, [&](size_t j, int) { end[j] = collectors[j].Take(open[j]); });
  // The likely nearest first: their keys exclude most of the others.
  for (int round = 0; round < 2; ++round) {
    for (size_t j = 0; j < count; ++j) at[j + 1] = at[j] + end[j] - begin[j];
    if (at[count] == 0) continue;
    pairs.resize(at[count]);
    pool.ParallelFor(count, threads, [&](size_t j, int) {
      for (size_t i = begin[j]; i < end[j]; ++i)
        pairs[at[j] + i - begin[j]] = {open[j][i].label, static_cast<uint32_t>(j), 0};
    });
    Evaluate(queries, pairs, max_threads, cancellation);
    pool.ParallelFor(count, threads, [&](size_t j, int) {
      std::vector<Nearest> nearest;
      nearest.reserve(at[j + 1] - at[j]);
      for (size_t i = at[j]; i < at[j + 1]; ++i) nearest.push_back({pairs[i].key, pairs[i].label});
      collectors[j].Learn(nearest.data(), nearest.size());
      begin[j] = end[j];
      end[j] = DropExcluded(open[j], begin[j], collectors[j].threshold());
    });
  }
}

void RefineQuery(const Refiner& refiner, Candidates& collector) {
  std::vector<Interval> open;
  std::vector<Nearest> nearest;
  for (size_t begin = 0, end = collector.Take(open); begin < end;) {
    nearest.clear();
    for (size_t i = begin; i < end; ++i) nearest.push_back({refiner.Key(open[i].label), open[i].label});
    collector.Learn(nearest.data(), nearest.size());
    begin = end;
    end = DropExcluded(open, begin, collector.threshold());
  }
}

}  // namespace flatrank
