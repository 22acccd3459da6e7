// Search: chunks of rows times panels of queries, handed out to the pool; then one merge and refinement a query.
#include <algorithm>
#include <limits>

#include "core/thread_pool.h"
#include "index/flat_index.h"
#include "index/fp32_scan.h"

namespace flatrank {

namespace {

constexpr size_t kChunkBytes = size_t{512} << 10;  // rows a task: they stay in the cache for all panels
constexpr size_t kLeastChunkRows = 64;
constexpr size_t kTasksPerThread = 8;

struct Chunk {
  const Block* block;
  size_t begin, end;
};

std::vector<Chunk> Divide(const Snapshot& snapshot, size_t row_bytes, size_t threads, size_t panels) {
  // Small enough to balance the threads, large enough to be worth a task.
  const size_t even = snapshot.rows * panels / (threads * kTasksPerThread) + 1;
  const size_t rows = std::max(std::min(kChunkBytes / row_bytes, even), kLeastChunkRows);
  std::vector<Chunk> chunks;
  for (const auto& block : snapshot.blocks) {
    const size_t visible = std::min(block->capacity, snapshot.rows - block->first);
    for (size_t begin = 0; begin < visible; begin += rows)
      chunks.push_back({block.get(), begin, std::min(begin + rows, visible)});
  }
  return chunks;
}

}  // namespace

void Search(const Snapshot& snapshot, Metric metric, size_t dimension, const float* queries, size_t nq, size_t k,
            int max_threads, const Cancellation& cancellation, float* distances, int32_t* labels) {
  CheckFinite("queries", queries, nq, dimension);
  const float padding = std::numeric_limits<float>::infinity() * (metric == Metric::kL2 ? 1.0f : -1.0f);
  std::fill(distances, distances + nq * k, padding);
  std::fill(labels, labels + nq * k, -1);
  const size_t found = std::min(k, snapshot.rows);
  if (found == 0 || nq == 0) return;

  ThreadPool& pool = ThreadPool::Shared();
  const int threads = std::clamp(max_threads, 1, pool.threads());
  const Queries all{queries, nq, dimension, metric};
  const Fp32Scan scan(all, snapshot.max_norm2);
  const size_t panel = std::min(scan.QueryPanel(), nq), panels = (nq + panel - 1) / panel;
  const std::vector<Chunk> chunks = Divide(snapshot, dimension * sizeof(float), static_cast<size_t>(threads), panels);

  // collectors[slot][query]; a slot's are made by the thread that uses them.
  std::vector<std::vector<Candidates>> collectors(static_cast<size_t>(threads));
  pool.ParallelFor(chunks.size() * panels, threads, [&](size_t index, int slot) {
    cancellation.ThrowIfCancelled();
    auto& mine = collectors[static_cast<size_t>(slot)];
    if (mine.empty()) mine.assign(nq, Candidates(found));
    const Chunk& chunk = chunks[index / panels];
    const size_t first = index % panels * panel, count = std::min(panel, nq - first);
    scan.Run(*chunk.block, chunk.begin, chunk.end, first, count, mine.data() + first);
  });

  pool.ParallelFor(nq, threads, [&](size_t j, int) {
    cancellation.ThrowIfCancelled();
    const Refiner refiner = all.refiner(j);
    Candidates nearest(found);
    for (const auto& slot : collectors)
      if (!slot.empty()) nearest.Merge(slot[j], refiner);
    const std::vector<Candidate> taken = nearest.Take(refiner);
    for (size_t i = 0; i < taken.size(); ++i) {
      const double key = taken[i].lower;
      distances[j * k + i] = static_cast<float>(metric == Metric::kL2 ? key : -key);
      labels[j * k + i] = taken[i].label;
    }
  });
}

}  // namespace flatrank
