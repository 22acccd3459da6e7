#include "index/entry.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/thread_pool.h"
#include "index/bounds.h"

namespace flatrank {

namespace {

constexpr size_t kRowsPerTask = 64 * kPanelRows;
constexpr size_t kScratchValues = size_t{1} << 18;
constexpr size_t kCentreSample = 1024;

std::string Name(float value) { return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"; }

// Rows [begin, end) of an entry's block.
struct Task {
  Entry* entry;
  size_t begin, end;
};

template <typename Range>
std::vector<Task> Divide(std::vector<Entry>& entries, Range range) {
  std::vector<Task> tasks;
  for (Entry& entry : entries) {
    const auto [first, last] = range(entry);
    for (size_t begin = first; begin < last; begin = begin / kRowsPerTask * kRowsPerTask + kRowsPerTask)
      tasks.push_back({&entry, begin, std::min(begin / kRowsPerTask * kRowsPerTask + kRowsPerTask, last)});
  }
  return tasks;
}

// Calls body(rows, begin, end) for pieces of the task's rows that fit the scratch memory of blocks that are not
// aligned.
template <typename Body>
void ForPieces(const Task& task, size_t d, Body body) {
  const Block& block = *task.entry->block;
  const size_t step =
      block.aligned() ? task.end - task.begin : std::max(kScratchValues / d / kPanelRows, size_t{1}) * kPanelRows;
  std::vector<float> scratch(block.aligned() ? 0 : step * d);
  for (size_t begin = task.begin; begin < task.end; begin += step) {
    const size_t end = std::min(begin + step, task.end);
    body(block.Rows(begin, end - begin, scratch.data()), begin, end);
  }
}

// Squared norms and norms of the rows, and the largest squared norm; the position of the first value that is not finite
// among the rows' values, or the number of values.
size_t Measure(const Task& task, size_t d, double& largest) {
  const Kernels& kernels = ActiveKernels();
  const double fp64_error = ScanError(d, 1).fp64_error;
  Block& block = *task.entry->block;
  const size_t values = (task.end - task.begin) * d;
  size_t bad = values;
  ForPieces(task, d, [&](const float* rows, size_t begin, size_t end) {
    const size_t n = (end - begin) * d, at = kernels.first_non_finite(rows, n);
    if (at < n) {
      bad = std::min(bad, (begin - task.begin) * d + at);
      return;
    }
    for (size_t i = begin; i < end; ++i) {
      const float* row = rows + (i - begin) * d;
      const double norm2 = kernels.exact_dot(row, row, d), high2 = norm2 * (1 + fp64_error);
      block.norm2_low.data()[i] = RoundDown(norm2 * (1 - fp64_error));
      block.norm_high.data()[i] = RoundUp(std::sqrt(high2) * (1 + fp64_error));
      largest = std::max(largest, high2);
    }
  });
  return bad;
}

[[noreturn]] void ThrowNonFinite(const std::vector<Entry>& entries, size_t label, size_t column, size_t d) {
  size_t staged_before = 0;
  for (const Entry& entry : entries) {
    const size_t first = entry.part.first + entry.part.rows;
    if (label < entry.end()) {
      std::vector<float> scratch(d);
      const float value = entry.block->Rows(label - entry.part.first, 1, scratch.data())[column];
      throw Error(kNonFinite, "Expected `x` to hold finite values but received " + Name(value) + " at row " +
                                  std::to_string(staged_before + label - first) + ", column " + std::to_string(column));
    }
    staged_before += entry.staged;
  }
  throw Error(kNonFinite, "Expected `x` to hold finite values");
}

void MeasureStaged(std::vector<Entry>& entries, size_t d, int max_threads, const Cancellation& cancellation) {
  const std::vector<Task> tasks = Divide(entries, [](const Entry& e) {
    return std::pair(e.part.rows, e.prepared ? e.part.rows : e.part.rows + e.staged);
  });
  std::vector<double> largest(tasks.size());
  std::vector<size_t> bad(tasks.size());
  ThreadPool::Shared().ParallelFor(tasks.size(), max_threads, [&](size_t i, int) {
    cancellation.ThrowIfCancelled();
    bad[i] = Measure(tasks[i], d, largest[i]);
  });
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    if (bad[i] < (task.end - task.begin) * d)
      ThrowNonFinite(entries, task.entry->part.first + task.begin + bad[i] / d, bad[i] % d, d);
    task.entry->part.max_norm2 = std::max(task.entry->part.max_norm2, largest[i]);
  }
}

// The mean of some rows: any centre is right, a good one makes bounds tight.
std::vector<float> Centre(const Block& block, size_t rows, size_t d) {
  const Kernels& kernels = ActiveKernels();
  const size_t stride = rows / kCentreSample + 1;
  std::vector<float> mean(d), scratch(d);
  size_t count = 0;
  for (size_t i = 0; i < rows; i += stride, ++count) kernels.add(mean.data(), block.Rows(i, 1, scratch.data()), d);
  kernels.divide(mean.data(), static_cast<float>(count), d);
  return mean;
}

bool WorthCodes(const Part& part, const CodeSpace& space) {
  return part.rows >= space.least_rows && part.max_norm2 <= kMaxNorm2;
}

void CodeRows(std::vector<Entry>& entries, const CodeSpace& space, int max_threads, const Cancellation& cancellation) {
  const size_t d = space.dimension;
  ThreadPool::Shared().ParallelFor(entries.size(), max_threads, [&](size_t i, int) {
    const Entry& entry = entries[i];
    // Codes that no snapshot has seen are left from rows that were rolled back.
    if (entry.part.coded > 0 || !WorthCodes(entry.part, space)) return;
    entry.block->codes =
        std::make_unique<BlockCodes>(space, entry.block->capacity(), Centre(*entry.block, entry.part.rows, d));
  });
  const std::vector<Task> tasks = Divide(entries, [&](const Entry& e) {
    const size_t end = e.part.coded > 0 || WorthCodes(e.part, space) ? e.part.rows / kPanelRows * kPanelRows : 0;
    return std::pair(e.part.coded, end);
  });
  std::vector<CodeStats> stats(tasks.size());
  ThreadPool::Shared().ParallelFor(tasks.size(), max_threads, [&](size_t i, int) {
    cancellation.ThrowIfCancelled();
    Block& block = *tasks[i].entry->block;
    ForPieces(tasks[i], d, [&](const float* rows, size_t begin, size_t end) {
      for (size_t row = begin; row < end; row += kPanelRows)
        stats[i].Include(
            block.codes->Encode(space, row / kPanelRows, rows + (row - begin) * d, block.norm_high.data() + row));
    });
  });
  for (size_t i = 0; i < tasks.size(); ++i) {
    Part& part = tasks[i].entry->part;
    part.coded = std::max(part.coded, tasks[i].end);
    part.stats.Include(stats[i]);
  }
}

}  // namespace

void Complete(std::vector<Entry>& entries, const CodeSpace& space, bool coded, int max_threads,
              const Cancellation& cancellation) {
  MeasureStaged(entries, space.dimension, max_threads, cancellation);
  for (Entry& entry : entries) entry.part.rows += std::exchange(entry.staged, 0);
  if (coded) CodeRows(entries, space, max_threads, cancellation);
}

}  // namespace flatrank
