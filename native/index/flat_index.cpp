#include "index/flat_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.h"
#include "core/thread_pool.h"
#include "index/bounds.h"
#include "kernels/kernels.h"

namespace flatrank {

namespace {

constexpr size_t kFirstBlockBytes = size_t{64} << 10;
constexpr size_t kLargestBlockBytes = size_t{64} << 20;
constexpr size_t kRowsPerTask = 1024;  // of Commit

std::string Name(float value) { return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"; }

}  // namespace

void CheckFinite(const char* name, const float* x, size_t n, size_t dimension) {
  const size_t at = ActiveKernels().first_non_finite(x, n * dimension);
  if (at == n * dimension) return;
  throw Error(kNonFinite, std::string("Expected `") + name + "` to hold finite values but received " + Name(x[at]) +
                              " at row " + std::to_string(at / dimension) + ", column " +
                              std::to_string(at % dimension));
}

FlatIndex::FlatIndex(size_t dimension, Metric metric) : dimension_(dimension), metric_(metric) {
  if (dimension == 0 || dimension > kMaxDimension)
    throw Error(kInvalidArgument, "Expected `dimension` to be an integer from 1 to " + std::to_string(kMaxDimension) +
                                      " but received " + std::to_string(dimension));
}

size_t FlatIndex::ntotal() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return committed_;
}

size_t FlatIndex::memory_bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t bytes = 0;
  for (const auto& block : blocks_) bytes += block->bytes(dimension_);
  return bytes;
}

// Blocks double up to a size at which their number no longer matters, so that a small index stays small.
size_t FlatIndex::NextCapacity(size_t rows_wanted) const {
  const size_t row_bytes = dimension_ * sizeof(float);
  const size_t least = std::max<size_t>(kFirstBlockBytes / row_bytes, 16);
  const size_t most = std::max<size_t>(kLargestBlockBytes / row_bytes, 16);
  return std::min(std::max({least, rows_wanted, committed_ + staged_}), most);
}

void FlatIndex::Stage(const float* rows, size_t n) {
  // Only the writer changes blocks_, committed_ and staged_, so it may read them unlocked; what it writes lies behind
  // every row that a search can see.
  const size_t staged_before = staged_;
  if (n > kMaxRows - committed_ - staged_)
    throw Error(kCapacity, "Expected at most " + std::to_string(kMaxRows) + " rows in an index but received " +
                               std::to_string(committed_ + staged_ + n));
  try {
    while (n > 0) {
      const size_t end = committed_ + staged_;
      if (blocks_.empty() || blocks_.back()->first + blocks_.back()->capacity == end) {
        auto block = std::make_shared<Block>(end, NextCapacity(n), dimension_);
        std::lock_guard<std::mutex> lock(mutex_);
        blocks_.push_back(std::move(block));
      }
      Block& block = *blocks_.back();
      const size_t offset = end - block.first;
      const size_t taken = std::min(n, block.capacity - offset);
      std::memcpy(block.rows.data() + offset * dimension_, rows, taken * dimension_ * sizeof(float));
      staged_ += taken;
      rows += taken * dimension_;
      n -= taken;
    }
  } catch (...) {
    staged_ = staged_before;
    throw;
  }
}

void FlatIndex::Commit(int max_threads, const Cancellation& cancellation) {
  const size_t begin = committed_, end = committed_ + staged_;
  struct Task {
    Block* block;
    size_t first, last;
  };
  std::vector<Task> tasks;
  for (const auto& block : blocks_) {
    const size_t last = std::min(end, block->first + block->capacity);
    for (size_t row = std::max(begin, block->first); row < last; row += kRowsPerTask)
      tasks.push_back({block.get(), row - block->first, std::min(row + kRowsPerTask, last) - block->first});
  }
  std::vector<double> largest(tasks.size());
  const ScanError error(dimension_, 1);
  const Kernels& kernels = ActiveKernels();
  std::atomic<size_t> first_bad{end};
  ThreadPool::Shared().ParallelFor(tasks.size(), max_threads, [&](size_t index, int) {
    cancellation.ThrowIfCancelled();
    const Task& task = tasks[index];
    const float* rows = task.block->rows.data() + task.first * dimension_;
    const size_t values = (task.last - task.first) * dimension_;
    if (const size_t at = kernels.first_non_finite(rows, values); at < values) {
      const size_t row = task.block->first + task.first + at / dimension_;
      for (size_t bad = first_bad.load(); row < bad && !first_bad.compare_exchange_weak(bad, row);) {
      }
      return;
    }
    for (size_t i = task.first; i < task.last; ++i) {
      const float* row = task.block->rows.data() + i * dimension_;
      const double norm2 = kernels.exact_dot(row, row, dimension_), high2 = norm2 * (1 + error.fp64_error);
      task.block->norm2_low.data()[i] = RoundDown(norm2 * (1 - error.fp64_error));
      task.block->norm_high.data()[i] = RoundUp(std::sqrt(high2) * (1 + error.fp64_error));
      largest[index] = std::max(largest[index], high2);
    }
  });
  if (first_bad < end) {
    for (const auto& block : blocks_)
      if (first_bad >= block->first && first_bad < block->first + block->capacity) {
        const float* row = block->rows.data() + (first_bad - block->first) * dimension_;
        const size_t column = kernels.first_non_finite(row, dimension_);
        throw Error(kNonFinite, "Expected `x` to hold finite values but received " + Name(row[column]) + " at row " +
                                    std::to_string(first_bad - begin) + ", column " + std::to_string(column));
      }
  }
  std::lock_guard<std::mutex> lock(mutex_);
  for (const double norm2 : largest) max_norm2_ = std::max(max_norm2_, norm2);
  committed_ = end;
  staged_ = 0;
}

void FlatIndex::Rollback() {
  std::lock_guard<std::mutex> lock(mutex_);
  staged_ = 0;
  while (!blocks_.empty() && blocks_.back()->first >= committed_) blocks_.pop_back();
}

void FlatIndex::Reset() {
  std::lock_guard<std::mutex> lock(mutex_);
  blocks_.clear();
  committed_ = staged_ = 0;
  max_norm2_ = 0;
}

Snapshot FlatIndex::TakeSnapshot() const {
  std::lock_guard<std::mutex> lock(mutex_);
  Snapshot snapshot;
  snapshot.rows = committed_;
  snapshot.max_norm2 = max_norm2_;
  for (const auto& block : blocks_)
    if (block->first < committed_) snapshot.blocks.push_back(block);
  return snapshot;
}

}  // namespace flatrank
