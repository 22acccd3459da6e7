#include "device/device_index.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "core/thread_pool.h"
#include "device/device_library.h"

namespace flatrank {

namespace {

// What the library calls back, which knows no exceptions: `fill` may throw, and Check throws it on.
template <typename Fill>
struct Filling {
  Fill fill;
  std::exception_ptr failure = nullptr;

  template <typename... A>
  static auto Callback() -> bool (*)(void*, A...) {
    return [](void* context, A... arguments) {
      auto& self = *static_cast<Filling*>(context);
      try {
        self.fill(arguments...);
        return true;
      } catch (...) {
        self.failure = std::current_exception();
        return false;
      }
    };
  }

  void Check(const cuda::Status& status) const {
    if (failure != nullptr) std::rethrow_exception(failure);
    flatrank::Check(status);
  }
};

// A coded part's view of the queries.
struct PartQueries {
  std::vector<int8_t> codes;      // (nq, padded)
  std::vector<QueryTerms> terms;  // (nq)
};

PartQueries CodeQueriesOf(const Part& part, const CodeSpace& space, const float* queries, size_t nq, int max_threads,
                          const Cancellation& cancellation) {
  constexpr size_t kAtOnce = 16;
  const BlockCodes& block = *part.block->codes;
  PartQueries coded{std::vector<int8_t>(nq * space.padded), std::vector<QueryTerms>(nq)};
  ThreadPool::Shared().ParallelFor((nq + kAtOnce - 1) / kAtOnce, max_threads, [&](size_t task, int) {
    cancellation.ThrowIfCancelled();
    std::vector<float> rotated(2 * space.padded);
    for (size_t j = task * kAtOnce; j < std::min(nq, (task + 1) * kAtOnce); ++j) {
      const float* q = queries + j * space.dimension;
      space.Rotate(q, block.centre(), rotated.data(), rotated.data() + space.padded);
      // As rows are coded: sums have 32 bits there.
      const Encoded encoded =
          space.kernels.codes->encode(rotated.data(), space.padded, coded.codes.data() + j * space.padded);
      coded.terms[j] = block.MeasureQuery(space, q, encoded, part.max_norm2);
    }
  });
  return coded;
}

// Answers the queries that are marked.
void SearchOnCpu(const std::vector<uint8_t>& marked, const Snapshot& snapshot, const CodeSpace& space,
                 const float* queries, size_t k, const SearchOptions& options, const Cancellation& cancellation,
                 float* distances, int32_t* labels) {
  const size_t d = space.dimension;
  std::vector<size_t> places;
  std::vector<float> gathered;
  for (size_t j = 0; j < marked.size(); ++j) {
    if (marked[j] == 0) continue;
    places.push_back(j);
    gathered.insert(gathered.end(), queries + j * d, queries + (j + 1) * d);
  }
  if (places.empty()) return;
  std::vector<float> found(places.size() * k);
  std::vector<int32_t> found_labels(places.size() * k);
  flatrank::Search(snapshot, space, gathered.data(), places.size(), k, options, cancellation, found.data(),
                   found_labels.data());
  for (size_t i = 0; i < places.size(); ++i) {
    std::copy_n(found.data() + i * k, k, distances + places[i] * k);
    std::copy_n(found_labels.data() + i * k, k, labels + places[i] * k);
  }
}

}  // namespace

void DeviceIndex::CopyRows(const Part& part, const CodeSpace& space, const Cancellation& cancellation, Copy& copy) {
  if (copy.rows == part.rows) return;
  Filling filling{[&](size_t from, size_t to, float* values) {
    cancellation.ThrowIfCancelled();
    copy.rows = from;  // those before will have arrived, whatever becomes of these
    const float* const rows = part.block->Rows(from, to - from, values);
    if (rows != values) std::copy_n(rows, (to - from) * space.dimension, values);
  }};
  const cuda::RowsToWrite rows{copy.rows, part.rows, filling.Callback<size_t, size_t, float*>(), &filling};
  cuda::Status status;
  library_.write_rows(copy.device.get(), &rows, &status);
  filling.Check(status);
  copy.rows = part.rows;
}

void DeviceIndex::CopyCodes(const Part& part, const CodeSpace& space, int max_threads, const Cancellation& cancellation,
                            Copy& copy) {
  if (copy.coded == part.coded) return;
  const int offset = space.kernels.codes->code_offset;
  Filling filling{[&](size_t from, size_t to, int8_t* codes, RowTerms* terms) {
    cancellation.ThrowIfCancelled();
    copy.coded = from;
    const size_t first_panel = from / kPanelRows, panels = (to - 1) / kPanelRows + 1 - first_panel;
    ThreadPool::Shared().ParallelFor(panels, max_threads, [&](size_t task, int) {
      const size_t p = first_panel + task;
      const uint8_t* const panel = part.block->codes->panel(p);
      const PanelTerms& panel_terms = part.block->codes->terms(p);
      for (size_t row = std::max(from, p * kPanelRows); row < std::min(to, (p + 1) * kPanelRows); ++row) {
        const size_t r = row % kPanelRows;
        int8_t* const row_codes = codes + (row - from) * space.padded;
        for (size_t i = 0; i < space.padded; ++i)
          row_codes[i] = static_cast<int8_t>(
              panel[i / kStepValues * kPanelRows * kStepValues + r * kStepValues + i % kStepValues] - offset);
        terms[row - from] = {panel_terms.offset[r], panel_terms.scale[r], panel_terms.norm[r], panel_terms.residual[r]};
      }
    });
  }};
  const cuda::CodesToWrite codes{copy.coded, part.coded, filling.Callback<size_t, size_t, int8_t*, RowTerms*>(),
                                 &filling};
  cuda::Status status;
  library_.write_codes(copy.device.get(), &codes, &status);
  filling.Check(status);
  copy.coded = part.coded;
}

DeviceIndex::Copy& DeviceIndex::CopyOf(const Part& part, const CodeSpace& space) {
  for (Copy& copy : copies_)
    if (copy.block.lock() == part.block) return copy;
  cuda::Status status;
  cuda::DeviceBlock* const block = library_.make_block(part.block->capacity(), space.dimension, space.padded, &status);
  Check(status);
  copies_.push_back({part.block, BlockHandle(block, library_.free_block)});
  return copies_.back();
}

std::vector<DeviceIndex::BlockHandle> DeviceIndex::Follow(const Snapshot& snapshot, const CodeSpace& space,
                                                          int max_threads, const Cancellation& cancellation) {
  std::lock_guard<std::mutex> lock(mutex_);
  copies_.erase(std::remove_if(copies_.begin(), copies_.end(), [](const Copy& copy) { return copy.block.expired(); }),
                copies_.end());
  std::vector<BlockHandle> blocks;
  for (const Part& part : snapshot.parts) {
    Copy& copy = CopyOf(part, space);
    CopyRows(part, space, cancellation, copy);
    CopyCodes(part, space, max_threads, cancellation, copy);
    blocks.push_back(copy.device);
  }
  return blocks;
}

void DeviceIndex::Search(const Snapshot& snapshot, const CodeSpace& space, const float* queries, size_t nq, size_t k,
                         const SearchOptions& options, const Cancellation& cancellation, float* distances,
                         int32_t* labels) {
  if (k > cuda::kMostNearest || snapshot.rows == 0) {
    flatrank::Search(snapshot, space, queries, nq, k, options, cancellation, distances, labels);
    return;
  }
  CheckFinite("queries", queries, nq, space.dimension);
  const std::vector<BlockHandle> blocks = Follow(snapshot, space, options.max_threads, cancellation);
  std::vector<PartQueries> coded(snapshot.parts.size());
  std::vector<cuda::SearchPart> parts;
  for (size_t p = 0; p < snapshot.parts.size(); ++p) {
    const Part& part = snapshot.parts[p];
    if (part.coded > 0) coded[p] = CodeQueriesOf(part, space, queries, nq, options.max_threads, cancellation);
    parts.push_back({blocks[p].get(), part.first, part.rows, part.coded, coded[p].codes.data(), coded[p].terms.data()});
  }
  std::vector<uint8_t> undecided(nq);
  cuda::SearchCall call{};
  call.metric = space.metric;
  call.dimension = space.dimension;
  call.padded = space.padded;
  call.parts = parts.data();
  call.part_count = parts.size();
  call.queries = queries;
  call.nq = nq;
  call.k = k;
  call.room = room_;
  if (options.selection != nullptr) {
    call.selection = options.selection->words().data();
    call.selection_words = options.selection->words().size();
  }
  call.cancelled = [](const void* token) { return static_cast<const Cancellation*>(token)->cancelled(); };
  call.token = &cancellation;
  call.distances = distances;
  call.labels = labels;
  call.undecided = undecided.data();
  cuda::Status status;
  library_.search(&call, &status);
  Check(status);
  SearchOnCpu(undecided, snapshot, space, queries, k, options, cancellation, distances, labels);
}

}  // namespace flatrank
