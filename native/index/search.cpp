// Search: chunks of rows times panels of queries, handed out to the pool; then one merge and refinement a query.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"
#include "core/thread_pool.h"
#include "index/bounds.h"
#include "index/flat_index.h"
#include "index/int8_scan.h"
#include "index/refine.h"

namespace flatrank {

namespace {

constexpr size_t kChunkBytes = size_t{512} << 10;  // a task's rows: they stay in the cache for all panels
constexpr size_t kLeastChunkRows = 128;
constexpr size_t kSelectedChunks = 16;  // of a task where rows are left out: those that lie apart are taken together
constexpr size_t kTasksPerThread = 8;
constexpr size_t kQueriesAtOnce = 2048;
constexpr size_t kMostBytes = size_t{256} << 20;  // of the candidates of a search: more queries wait for their turn
constexpr double kBytesPerSecond = 20e9;          // read by a scan, where memory is the limit
constexpr double kQueriesPerByte = 16;            // queries that take as long as reading the bytes they meet
constexpr double kQuerySeconds = 2e-6;            // what a query costs beside the rows it meets
constexpr double kWorthThread = 40e-6;            // seconds of work from which waking another thread pays
constexpr size_t kScattered = 12;                 // rows whose scan takes as long as fetching one that lies apart
constexpr size_t kScatteredMany = 5;              // the same where arithmetic is the limit
constexpr size_t kScatteredCodes = 3;             // the same where codes can be fetched row by row
constexpr size_t kManyQueries = 8;                // from which it is
constexpr size_t kGap = 8;                        // rows between wanted ones that are cheaper scanned than skipped
constexpr size_t kCodedGap = 64;                  // the same where they have codes

constexpr size_t kSmallBytes = size_t{4} << 20;  // of rows that every thread may as well go over by itself
constexpr size_t kLeastShare = 8;                // queries a thread has then
constexpr size_t kLeastWhole = 2048;             // rows that are met at once then, however long they are

// A task: rows that queries of one panel meet. Ordered so that tasks of one thread prepare a panel for a block once.
struct Task {
  RowRange rows;
  size_t panel;
};

// Rows whose codes, or values, stay in the cache for all panels.
size_t ChunkRows(const Part& part, size_t dimension) {
  const size_t row_bytes = dimension * (part.coded > 0 ? 1 : sizeof(float));
  return std::max(kChunkBytes / row_bytes, kLeastChunkRows) / kPanelRows * kPanelRows;
}

// Whether each thread had better take queries of its own past all rows than rows past all queries: then what it learns
// about a query excludes rows everywhere.
bool DividesQueries(const Queries& queries, size_t threads) {
  size_t bytes = 0;
  for (const Part& part : queries.snapshot->parts)
    bytes += queries.dimension * (part.coded + (part.rows - part.coded) * sizeof(float));
  return bytes <= kSmallBytes && (threads == 1 || queries.count >= threads * kLeastShare);
}

// How many queries a task has at once.
size_t PanelOf(const Queries& queries, size_t largest, size_t threads) {
  if (!DividesQueries(queries, threads)) return std::min(largest, queries.count);
  const size_t panels = (queries.count + largest * threads - 1) / (largest * threads) * threads;
  return (queries.count + panels - 1) / panels;
}

std::vector<Task> Divide(const Queries& queries, size_t panels, size_t threads) {
  const Snapshot& snapshot = *queries.snapshot;
  const bool whole = DividesQueries(queries, threads);
  const size_t even = snapshot.rows * panels / (threads * kTasksPerThread) / kPanelRows * kPanelRows;
  std::vector<Task> tasks;
  for (const Part& part : snapshot.parts) {
    const size_t most = ChunkRows(part, queries.dimension) * (queries.selection == nullptr ? 1 : kSelectedChunks);
    const size_t rows = whole ? part.rows : std::max(std::min(most, even), kLeastChunkRows);
    for (size_t panel = 0; panel < panels; ++panel)
      for (size_t begin = 0; begin < part.rows; begin += rows)
        tasks.push_back({{&part, begin, std::min(begin + rows, part.rows)}, panel});
  }
  return tasks;
}

// Whether the wanted rows of `rows` are so few that each is to be fetched by itself for `count` queries.
bool IsScattered(const RowRange& rows, const Selection* selection, size_t count) {
  if (selection == nullptr) return false;
  const size_t first = rows.part->first, wanted = selection->Count(first + rows.begin, first + rows.end);
  const bool by_row = rows.part->coded >= rows.end && rows.part->block->codes->by_row();
  const size_t dearer = by_row ? kScatteredCodes : count < kManyQueries ? kScattered : kScatteredMany;
  return wanted * dearer < rows.end - rows.begin;
}

void AppendWanted(const RowRange& rows, const Selection& selection, std::vector<uint32_t>& wanted) {
  const size_t first = rows.part->first, end = first + rows.end;
  for (size_t label = selection.Next(first + rows.begin, end); label < end; label = selection.Next(label + 1, end))
    wanted.push_back(static_cast<uint32_t>(label - first));
}

// Calls body(rows) for the parts of `rows` that hold wanted ones.
template <typename Body>
void ForWanted(const RowRange& rows, const Selection* selection, Body body) {
  if (selection == nullptr) {
    body(rows);
    return;
  }
  const size_t first = rows.part->first, end = first + rows.end, gap = rows.part->coded > 0 ? kCodedGap : kGap;
  for (size_t label = selection->Next(first + rows.begin, end); label < end;) {
    size_t last = selection->NextOut(label, end), next = selection->Next(last, end);
    while (next < end && next - last < gap) {
      last = selection->NextOut(next, end);
      next = selection->Next(last, end);
    }
    body(RowRange{rows.part, label - first, last - first});
    label = next;
  }
}

// The k nearest of some queries, (queries.count) lists.
std::vector<std::vector<Nearest>> Collect(const Queries& queries, const CodeSpace& space, size_t k, float limit,
                                          int max_threads, const Cancellation& cancellation) {
  ThreadPool& pool = ThreadPool::Shared();
  // Of rows that are left out most cost nothing.
  const size_t rows = std::max(queries.snapshot->rows, size_t{1});
  const double share = static_cast<double>(kScattered * queries.wanted) / static_cast<double>(rows);
  const double seconds = SearchSeconds(*queries.snapshot, queries.dimension, queries.count) * std::min(share, 1.0);
  const double worth = seconds / kWorthThread;
  const int threads = std::clamp(static_cast<int>(std::min(worth, 1e6)), 1, std::clamp(max_threads, 1, pool.threads()));
  Int8Scan scan(queries, space, k == Candidates::kAll ? 0 : k, threads);
  const size_t panel = PanelOf(queries, scan.QueryPanel(), static_cast<size_t>(threads));
  const size_t panels = (queries.count + panel - 1) / panel;
  const bool whole = DividesQueries(queries, static_cast<size_t>(threads));
  const std::vector<Task> tasks = Divide(queries, panels, static_cast<size_t>(threads));

  // collectors[slot][query]; a slot's are made by the thread that uses them. Thresholds are shared as they fall.
  std::vector<std::vector<Candidates>> collectors(static_cast<size_t>(threads));
  std::vector<std::atomic<float>> thresholds(queries.count);
  for (auto& threshold : thresholds) threshold.store(limit, std::memory_order_relaxed);
  pool.ParallelFor(tasks.size(), threads, [&](size_t index, int slot) {
    cancellation.ThrowIfCancelled();
    auto& mine = collectors[static_cast<size_t>(slot)];
    if (mine.empty()) mine.assign(queries.count, Candidates(k, limit));
    const Task& task = tasks[index];
    const size_t first = task.panel * panel, count = std::min(panel, queries.count - first);
    for (size_t j = first; j < first + count; ++j) mine[j].Lower(thresholds[j].load(std::memory_order_relaxed));
    const Part& part = *task.rows.part;
    const size_t chunk = std::max(ChunkRows(part, queries.dimension), whole ? kLeastWhole : 0);
    std::vector<uint32_t> apart;
    for (size_t begin = task.rows.begin; begin < task.rows.end; begin += chunk) {
      const RowRange taken{&part, begin, std::min(begin + chunk, task.rows.end)};
      if (IsScattered(taken, queries.selection, count))
        AppendWanted(taken, *queries.selection, apart);
      else
        ForWanted(taken, queries.selection,
                  [&](const RowRange& run) { scan.Run(run, first, count, mine.data() + first, slot); });
    }
    if (!apart.empty()) scan.RunScattered(part, apart.data(), apart.size(), first, count, mine.data() + first, slot);
    for (size_t j = first; j < first + count; ++j) {
      float known = thresholds[j].load(std::memory_order_relaxed);
      while (mine[j].threshold() < known && !thresholds[j].compare_exchange_weak(known, mine[j].threshold())) {
      }
    }
  });

  std::vector<Candidates> merged(queries.count, Candidates(k, limit));
  std::vector<std::vector<Nearest>> nearest(queries.count);
  const auto merge = [&](size_t j) {
    for (auto& slot : collectors)
      if (!slot.empty()) merged[j].Merge(slot[j]);
  };
  if (whole && queries.snapshot->rows * queries.dimension * sizeof(float) <= kSmallBytes) {
    pool.ParallelFor(queries.count, threads, [&](size_t j, int) {
      cancellation.ThrowIfCancelled();
      merge(j);
      std::vector<float> scratch(queries.dimension);
      RefineQuery(queries.refiner(j, scratch.data()), merged[j]);
      nearest[j] = merged[j].TakeNearest();
    });
  } else {
    for (size_t j = 0; j < queries.count; ++j) merge(j);
    RefineCandidates(queries, merged.data(), threads, cancellation);
    pool.ParallelFor(queries.count, queries.count >= kManyQueries ? threads : 1,
                     [&](size_t j, int) { nearest[j] = merged[j].TakeNearest(); });
  }
  return nearest;
}

size_t WantedRows(const Snapshot& snapshot, const SearchOptions& options) {
  return options.selection ? options.selection->Count(0, snapshot.rows) : snapshot.rows;
}

// Calls body(first, collectors) for batches of queries. `wanted` rows are to be looked at.
template <typename Body>
void InBatches(const Snapshot& snapshot, size_t wanted, const CodeSpace& space, const float* values, size_t nq,
               size_t k, float limit, const SearchOptions& options, const Cancellation& cancellation, Body body) {
  const size_t held =
      Candidates::MostHeld(k, snapshot.rows) * sizeof(Interval) * static_cast<size_t>(ThreadPool::Shared().threads());
  const size_t at_once = std::clamp(kMostBytes / std::max(held, size_t{1}), size_t{1}, kQueriesAtOnce);
  for (size_t first = 0; first < nq; first += at_once) {
    const Queries queries{values + first * space.dimension,
                          std::min(at_once, nq - first),
                          space.dimension,
                          space.metric,
                          &snapshot,
                          options.selection,
                          wanted};
    const auto nearest = Collect(queries, space, k, limit, options.max_threads, cancellation);
    for (size_t j = 0; j < queries.count; ++j) body(first + j, nearest[j]);
  }
}

}  // namespace

void CheckFinite(const char* name, const float* x, size_t n, size_t dimension) {
  const size_t at = ActiveKernels().first_non_finite(x, n * dimension);
  if (at == n * dimension) return;
  const std::string value = std::isnan(x[at]) ? "NaN" : x[at] > 0 ? "Infinity" : "-Infinity";
  throw Error(kNonFinite, std::string("Expected `") + name + "` to hold finite values but received " + value +
                              " at row " + std::to_string(at / dimension) + ", column " +
                              std::to_string(at % dimension));
}

double SearchSeconds(const Snapshot& snapshot, size_t dimension, size_t nq) {
  double bytes = 0;
  for (const Part& part : snapshot.parts)
    bytes += static_cast<double>(dimension) *
             (static_cast<double>(part.coded) + static_cast<double>((part.rows - part.coded) * sizeof(float)));
  const double queries = static_cast<double>(nq);
  return bytes / kBytesPerSecond * std::max(1.0, queries / kQueriesPerByte) + queries * kQuerySeconds;
}

void Search(const Snapshot& snapshot, const CodeSpace& space, const float* queries, size_t nq, size_t k,
            const SearchOptions& options, const Cancellation& cancellation, float* distances, int32_t* labels) {
  CheckFinite("queries", queries, nq, space.dimension);
  const bool l2 = space.metric == Metric::kL2;
  std::fill(distances, distances + nq * k, std::numeric_limits<float>::infinity() * (l2 ? 1.0f : -1.0f));
  std::fill(labels, labels + nq * k, -1);
  const size_t wanted = WantedRows(snapshot, options);
  if (wanted == 0) return;
  InBatches(snapshot, wanted, space, queries, nq, std::min(k, wanted), Candidates::kNone, options, cancellation,
            [&](size_t j, const std::vector<Nearest>& nearest) {
              for (size_t i = 0; i < nearest.size(); ++i) {
                distances[j * k + i] = static_cast<float>(l2 ? nearest[i].key : -nearest[i].key);
                labels[j * k + i] = static_cast<int32_t>(nearest[i].label);
              }
            });
}

RangeResult RangeSearch(const Snapshot& snapshot, const CodeSpace& space, const float* queries, size_t nq,
                        double radius, const SearchOptions& options, const Cancellation& cancellation) {
  CheckFinite("queries", queries, nq, space.dimension);
  const bool l2 = space.metric == Metric::kL2;
  const double limit = l2 ? radius : -radius;
  RangeResult result;
  result.limits.push_back(0);
  InBatches(snapshot, WantedRows(snapshot, options), space, queries, nq, Candidates::kAll, RoundUp(limit), options,
            cancellation, [&](size_t, const std::vector<Nearest>& nearest) {
              for (const Nearest& row : nearest) {
                if (!(row.key < limit)) break;
                result.distances.push_back(static_cast<float>(l2 ? row.key : -row.key));
                result.labels.push_back(static_cast<int32_t>(row.label));
              }
              result.limits.push_back(result.labels.size());
            });
  return result;
}

}  // namespace flatrank
