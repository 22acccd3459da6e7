#include "index/flat_index.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "index/prepared.h"

namespace flatrank {

namespace {

constexpr size_t kFirstBlockBytes = size_t{64} << 10;

size_t CheckDimension(size_t dimension) {
  if (dimension == 0 || dimension > FlatIndex::kMaxDimension)
    throw Error(kInvalidArgument, "Expected `dimension` to be an integer from 1 to " +
                                      std::to_string(FlatIndex::kMaxDimension) + " but received " +
                                      std::to_string(dimension));
  return dimension;
}

size_t WholePanels(size_t rows) { return (rows + kPanelRows - 1) / kPanelRows * kPanelRows; }

}  // namespace

FlatIndex::FlatIndex(size_t dimension, Metric metric, bool coded, const BlockSizes& sizes)
    : space_(CheckDimension(dimension), metric,
             sizes.least_coded_rows == 0 ? CodeSpace::UsualLeastRows(dimension) : sizes.least_coded_rows),
      coded_(coded),
      largest_block_(WholePanels(std::max<size_t>(sizes.most_bytes / (dimension * sizeof(float)), kPanelRows))) {}

size_t FlatIndex::ntotal() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return committed_;
}

size_t FlatIndex::memory_bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t bytes = 0;
  for (const Entry& entry : entries_) bytes += entry.part.block->bytes(entry.part.coded > 0);
  return bytes;
}

// Blocks grow with the index up to a size at which their number no longer matters, so that a small index stays small.
size_t FlatIndex::NextCapacity(size_t rows_wanted) const {
  const size_t least = kFirstBlockBytes / (dimension() * sizeof(float));
  return WholePanels(std::min(std::max({least, rows_wanted, RowsInAll() / 2}), largest_block_));
}

void FlatIndex::CheckCapacity(size_t n) const {
  if (n > kMaxRows - RowsInAll())
    throw Error(kCapacity, "Expected at most " + std::to_string(kMaxRows) + " rows in an index but received " +
                               std::to_string(RowsInAll() + n));
}

void FlatIndex::Append(std::shared_ptr<Block> block, size_t staged) {
  Entry entry;
  entry.part.block = block;
  entry.part.first = RowsInAll();
  entry.block = std::move(block);
  entry.staged = staged;
  std::lock_guard<std::mutex> lock(mutex_);
  entries_.push_back(std::move(entry));
}

// Only the writer changes entries_, so it may read them unlocked; the rows it writes lie behind those a search can see.
void FlatIndex::Stage(const float* rows, size_t n, size_t more) {
  CheckCapacity(n);
  const size_t entries_before = entries_.size(), staged_before = entries_.empty() ? 0 : entries_.back().staged;
  try {
    while (n > 0) {
      if (entries_.empty() || entries_.back().block->mapped() ||
          entries_.back().part.rows + entries_.back().staged == entries_.back().block->capacity())
        Append(std::make_shared<Block>(NextCapacity(n + more), dimension()), 0);
      Entry& last = entries_.back();
      const size_t used = last.part.rows + last.staged, taken = std::min(n, last.block->capacity() - used);
      std::memcpy(last.block->rows_to_write() + used * dimension(), rows, taken * dimension() * sizeof(float));
      last.staged += taken;
      rows += taken * dimension();
      n -= taken;
    }
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    entries_.resize(entries_before);
    if (!entries_.empty()) entries_.back().staged = staged_before;
    throw;
  }
}

void FlatIndex::StageMapped(const std::string& path, uint64_t offset, size_t n, const std::string& prepared,
                            const std::string& code_rows) {
  CheckCapacity(n);
  if (n == 0) return;
  auto file = std::make_shared<const MappedFile>(path);
  std::shared_ptr<Block> block;
  Part part;
  if (!prepared.empty() && coded_)
    part = ReadPrepared(file, offset, n, space_, std::make_shared<const MappedFile>(prepared),
                        code_rows.empty() ? nullptr : std::make_shared<const MappedFile>(code_rows), block);
  const bool ready = block != nullptr;
  Append(ready ? std::move(block) : std::make_shared<Block>(std::move(file), offset, n, dimension()), n);
  if (!ready) return;
  Entry& entry = entries_.back();  // nobody looks at it before Commit
  part.first = entry.part.first;
  entry.part = std::move(part);
  entry.prepared = true;
}

void FlatIndex::ExpectChecksums(std::vector<uint32_t> sums, std::vector<uint32_t> code_rows) {
  if (entries_.empty() || !entries_.back().block->mapped() || entries_.back().staged != sums.size())
    throw Error(kInvalidArgument, "Expected a checksum for each row that was mapped");
  Block& block = *entries_.back().block;
  block.checks = std::make_unique<const RowChecks>(block.path(), std::move(sums));
  if (block.codes && block.codes->by_row()) block.codes->ExpectRowChecksums(std::move(code_rows));
}

void FlatIndex::Commit(int max_threads, const Cancellation& cancellation) {
  std::vector<Entry> entries = entries_;
  Complete(entries, space_, coded_, max_threads, cancellation);
  Publish(std::move(entries));
}

void FlatIndex::Rollback() {
  std::lock_guard<std::mutex> lock(mutex_);
  while (!entries_.empty() && entries_.back().part.rows == 0) entries_.pop_back();
  if (!entries_.empty()) entries_.back().staged = 0;
}

size_t FlatIndex::Remove(const Selection& selection, int max_threads, const Cancellation& cancellation) {
  const size_t before = committed_, removed = selection.Count(0, before);
  if (removed == 0) return 0;
  std::vector<Entry> entries = Without(entries_, selection, dimension(), largest_block_, cancellation);
  Complete(entries, space_, coded_, max_threads, cancellation);
  Publish(std::move(entries));
  return removed;
}

void FlatIndex::Reset() { Publish({}); }

void FlatIndex::Publish(std::vector<Entry> entries) {
  size_t rows = 0;
  for (const Entry& entry : entries) rows += entry.part.rows;
  std::lock_guard<std::mutex> lock(mutex_);
  entries_.swap(entries);  // what was there is freed, where nobody looks at it any more, behind the lock
  committed_ = rows;
}

Snapshot FlatIndex::TakeSnapshot() const {
  std::lock_guard<std::mutex> lock(mutex_);
  Snapshot snapshot;
  snapshot.rows = committed_;
  for (const Entry& entry : entries_)
    if (entry.part.rows > 0) snapshot.parts.push_back(entry.part);
  return snapshot;
}

}  // namespace flatrank
