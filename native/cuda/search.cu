#include "cuda/search.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "cuda/block.h"
#include "cuda/refine.cuh"
#include "cuda/scan.cuh"

namespace flatrank::cuda {

namespace {

constexpr size_t kQueriesAtOnce = 1024;
constexpr size_t kListBytes = size_t{64} << 20;  // of all lists, where there are so many queries that it counts
constexpr size_t kLeastRoom = 8192, kMostRoom = size_t{1} << 17;
constexpr size_t kFirstRows = 1024;  // met before there are thresholds: all of them come into the lists
constexpr size_t kSpare = 8;  // times k rows that are expected to come into a list, for bounds decide less than keys
constexpr size_t kMostGrowth = 32;
constexpr uint32_t kFewQueries = 8;   // up to which memory is the limit
constexpr uint32_t kThreads = 256;    // of kernels that do one thing a thread
constexpr size_t kBlocksAtWork = 16;  // for each multiprocessor: enough to hide what each waits for
constexpr size_t kWorkAtOnce =
    size_t{1} << 42;               // products that are queued before a look whether to go on: 0.1 s of a T4
constexpr size_t kPlainWork = 64;  // products of codes in the time of one in double precision

uint32_t Blocks(size_t count, size_t at_once) { return static_cast<uint32_t>((count + at_once - 1) / at_once); }

// What one search at a time needs beside the rows. It grows to what was needed so far and stays.
struct Workspace {
  Stream stream;
  DeviceArray<Candidate> items;
  DeviceArray<uint32_t> counts, overflow;
  DeviceArray<float> thresholds, queries, distances;
  DeviceArray<uint8_t> undecided;
  DeviceArray<int32_t> labels;
  DeviceArray<int8_t> codes;
  DeviceArray<QueryTerms> terms;
  DeviceArray<CodeRule> rules;
  DeviceArray<double> keys;
  DeviceArray<uint64_t> selection;
  DeviceArray<const float*> values;
  DeviceArray<size_t> firsts;
  // What comes back.
  PinnedArray<float> found_distances;
  PinnedArray<int32_t> found_labels;
  PinnedArray<uint8_t> found_undecided;
  PinnedArray<uint32_t> found_overflow;
};

size_t Multiprocessors() {
  static const size_t count = [] {
    int value = 1;
    Check(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
    return static_cast<size_t>(value);
  }();
  return count;
}

// The search of some of a call's queries: runs over rows, which get longer as thresholds get sharper, and the results
// are queued one behind another, and waited for once. Where a list overflowed in one of them, those behind it did
// nothing, and it is repeated in shorter ones: what it found lowered the thresholds.
class Batch {
 public:
  Batch(const SearchCall& call, size_t first, size_t count, Workspace& workspace)
      : call_(call),
        first_(first),
        count_(static_cast<uint32_t>(count)),
        k_(static_cast<uint32_t>(call.k)),
        work_(workspace),
        room_(call.room != 0 ? call.room
                             : std::clamp(kListBytes / (sizeof(Candidate) * count), std::max(kLeastRoom, 16 * call.k),
                                          kMostRoom)) {}

  void Run() {
    Start();
    for (bool done = false; !done;) {
      if (call_.cancelled(call_.token)) throw Cancelled{};
      Queue();
      done = at_.part == call_.part_count;
      if (done) QueueResults();
      uint32_t* const overflow = work_.found_overflow.AtLeast(1);
      work_.stream.ToHost(overflow, lists_.overflow, 1);
      work_.stream.Wait();
      if (*overflow != 0) {
        Repeat(runs_[*overflow - 1]);
        done = false;
      }
      runs_.clear();
    }
    const size_t results = size_t{count_} * k_;
    std::copy_n(work_.found_distances.AtLeast(results), results, call_.distances + first_ * k_);
    std::copy_n(work_.found_labels.AtLeast(results), results, call_.labels + first_ * k_);
    std::copy_n(work_.found_undecided.AtLeast(count_), count_, call_.undecided + first_);
  }

 private:
  // A row of a part; those with codes are met first, and not in one run with others.
  struct Place {
    size_t part = 0, row = 0;
    size_t seen = 0;                                       // rows that were met before it
    size_t shortest = std::numeric_limits<size_t>::max();  // of the runs that overflowed here
  };
  struct QueuedRun {
    Place begin;
    size_t rows;
  };

  void Start() {
    const size_t d = call_.dimension;
    work_.undecided.AtLeast(2 * count_);
    work_.queries.AtLeast(count_ * d);
    work_.rules.AtLeast(count_);
    work_.keys.AtLeast(count_ * room_);
    lists_ = {work_.items.AtLeast(count_ * room_), work_.counts.AtLeast(count_),
              work_.thresholds.AtLeast(count_),    work_.undecided.data(),
              work_.overflow.AtLeast(1),           static_cast<uint32_t>(room_)};
    work_.stream.ToDevice(work_.queries.data(), call_.queries + first_ * d, count_ * d);
    // Queries that codes cannot be trusted with are not begun.
    refused_.assign(count_, 0);
    for (size_t p = 0; p < call_.part_count; ++p)
      for (size_t j = 0; j < count_ && call_.parts[p].coded > 0; ++j)
        refused_[j] |= call_.parts[p].terms[first_ + j].safe ? 0 : 1;
    work_.stream.ToDevice(work_.undecided.data() + count_, refused_.data(), count_);
    Launch(StartLists, dim3(Blocks(count_, kThreads)), dim3(kThreads), work_.stream, lists_, count_,
           work_.undecided.data() + count_);
  }

  // Runs from the next place on, until all rows are met or it is time to look whether the search was cancelled.
  void Queue() {
    for (size_t work = 0; at_.part < call_.part_count && work < kWorkAtOnce;) {
      const SearchPart& part = call_.parts[at_.part];
      if (at_.row == part.rows) {
        at_ = {at_.part + 1, 0, at_.seen};
        continue;
      }
      const bool coded = at_.row < part.coded;
      const size_t end = coded ? part.coded : part.rows;
      if (coded) TakeQueries(at_.part);
      const size_t growth = std::clamp<size_t>(room_ / (2 * kSpare * k_), 1, kMostGrowth);
      const size_t wanted = at_.seen == 0 ? std::min(std::max(kFirstRows, 4 * call_.k), room_ / 2) : at_.seen * growth;
      const size_t taken = std::min({wanted, at_.shortest, end - at_.row});
      runs_.push_back({at_, taken});
      lists_.run = static_cast<uint32_t>(runs_.size());
      Scan(part, at_.row, at_.row + taken, coded);
      Launch(ThinOut, dim3(count_), dim3(kListThreads), work_.stream, lists_, k_,
             static_cast<uint32_t>(part.first + at_.row));
      Check(cudaGetLastError());
      work += taken * count_ * call_.padded * (coded ? 1 : kPlainWork);
      at_.row += taken;
      at_.seen += taken;
      if (at_.row == end) at_.shortest = std::numeric_limits<size_t>::max();
    }
  }

  void Repeat(const QueuedRun& run) {
    at_ = run.begin;
    at_.shortest = std::max(run.rows / 4, room_ / 2);  // half a list takes that many for certain
    work_.stream.Zero(lists_.overflow, 1);
  }

  // The part's view of the queries.
  void TakeQueries(size_t p) {
    if (taken_ == p) return;
    taken_ = p;
    const SearchPart& part = call_.parts[p];
    work_.codes.AtLeast(count_ * call_.padded);
    work_.terms.AtLeast(count_);
    work_.stream.ToDevice(work_.codes.data(), part.codes + first_ * call_.padded, count_ * call_.padded);
    work_.stream.ToDevice(work_.terms.data(), part.terms + first_, count_);
  }

  void Scan(const SearchPart& part, size_t begin, size_t end, bool coded) {
    const DeviceBlock& block = *part.block;
    const ScanArguments a{block.codes.data(),
                          block.terms.data(),
                          block.values.data(),
                          part.first,
                          begin,
                          end,
                          static_cast<uint32_t>(call_.padded),
                          static_cast<uint32_t>(call_.dimension),
                          call_.metric,
                          work_.codes.data(),
                          work_.terms.data(),
                          work_.rules.data(),
                          work_.queries.data(),
                          count_,
                          {call_.selection == nullptr ? nullptr : work_.selection.data(), call_.selection_words},
                          lists_};
    const size_t rows = end - begin;
    if (!coded) {
      Launch(ScanPlain, dim3(Blocks(rows, kScanThreads / kExactLanes), std::min(count_, 64u)), dim3(kScanThreads),
             work_.stream, a);
    } else {
      Launch(MakeRules, dim3(Blocks(count_, kThreads)), dim3(kThreads), work_.stream, lists_, work_.terms.data(),
             DotFactor(call_.metric), count_, work_.rules.data());
      if (count_ > kFewQueries) {
        Launch(ScanMany, dim3(Blocks(rows, kTileRows) * QueryBlocks(count_)), dim3(kScanThreads), work_.stream, a);
      } else {
        const size_t blocks =
            std::min<size_t>(Blocks(rows, kScanThreads / kRowLanes), Multiprocessors() * kBlocksAtWork);
        const auto scan = count_ == 1 ? ScanFew<1> : count_ == 2 ? ScanFew<2> : count_ <= 4 ? ScanFew<4> : ScanFew<8>;
        Launch(scan, dim3(static_cast<uint32_t>(blocks)), dim3(kScanThreads), work_.stream, a, 0u);
      }
    }
    Check(cudaGetLastError());
  }

  void QueueResults() {
    const size_t results = size_t{count_} * k_;
    values_.clear();
    firsts_.clear();
    for (size_t p = 0; p < call_.part_count; ++p) {
      values_.push_back(call_.parts[p].block->values.data());
      firsts_.push_back(call_.parts[p].first);
    }
    const RowTable rows{work_.values.AtLeast(values_.size()), work_.firsts.AtLeast(firsts_.size()),
                        static_cast<uint32_t>(values_.size())};
    work_.stream.ToDevice(work_.values.data(), values_.data(), values_.size());
    work_.stream.ToDevice(work_.firsts.data(), firsts_.data(), firsts_.size());
    work_.distances.AtLeast(results);
    work_.labels.AtLeast(results);
    const float nothing = std::numeric_limits<float>::infinity() * (call_.metric == Metric::kL2 ? 1.0f : -1.0f);
    Launch(FillResults, dim3(Blocks(results, kThreads)), dim3(kThreads), work_.stream, work_.distances.data(),
           work_.labels.data(), results, nothing);
    const uint32_t shares = std::clamp<uint32_t>(static_cast<uint32_t>(2 * Multiprocessors()) / count_, 1, 64);
    Launch(FindKeys, dim3(count_, shares), dim3(kListThreads), work_.stream, lists_, rows, work_.queries.data(),
           static_cast<uint32_t>(call_.dimension), call_.metric, work_.keys.data());
    Launch(RankNearest, dim3(count_), dim3(kListThreads), work_.stream, lists_, work_.keys.data(), k_, call_.metric,
           work_.distances.data(), work_.labels.data());
    Check(cudaGetLastError());
    work_.stream.ToHost(work_.found_distances.AtLeast(results), work_.distances.data(), results);
    work_.stream.ToHost(work_.found_labels.AtLeast(results), work_.labels.data(), results);
    work_.stream.ToHost(work_.found_undecided.AtLeast(count_), lists_.undecided, count_);
  }

  const SearchCall& call_;
  const size_t first_;
  const uint32_t count_, k_;
  Workspace& work_;
  const size_t room_;
  CandidateLists lists_{};
  Place at_;
  std::vector<QueuedRun> runs_;                        // since the last look
  size_t taken_ = std::numeric_limits<size_t>::max();  // part whose view of the queries is there
  // Copied from while this waits for nothing.
  std::vector<uint8_t> refused_;
  std::vector<const float*> values_;
  std::vector<size_t> firsts_;
};

}  // namespace

void Search(const SearchCall& call) {
  auto workspace = Reused<Workspace>::Shared().Take();
  if (call.selection != nullptr) {
    workspace->selection.AtLeast(call.selection_words);
    workspace->stream.ToDevice(workspace->selection.data(), call.selection, call.selection_words);
  }
  for (size_t first = 0; first < call.nq; first += kQueriesAtOnce)
    Batch(call, first, std::min(kQueriesAtOnce, call.nq - first), *workspace).Run();
  Reused<Workspace>::Shared().GiveBack(std::move(workspace));
}

}  // namespace flatrank::cuda
