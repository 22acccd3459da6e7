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
  Bundle given, found;
  DeviceArray<Candidate> items;
  DeviceArray<uint32_t> counts;
  DeviceArray<float> thresholds;
  DeviceArray<CodeRule> rules;
  DeviceArray<double> keys;
  DeviceArray<uint64_t> selection;
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
    Give();
    Launch(StartLists, dim3(Blocks(count_, kThreads)), dim3(kThreads), work_.stream, lists_, count_,
           work_.given.OnDevice(refused_));
    for (bool done = false; !done;) {
      if (call_.cancelled(call_.token)) throw Cancelled{};
      QueueRuns();
      done = at_.part == call_.part_count;
      if (done) QueueResults();
      work_.found.ToHost(work_.stream);
      work_.stream.Wait();
      if (const uint32_t overflow = *work_.found.OnHost(overflow_); overflow != 0) {
        Repeat(runs_[overflow - 1]);
        done = false;
      }
      runs_.clear();
    }
    const size_t results = size_t{count_} * k_;
    std::copy_n(work_.found.OnHost(distances_), results, call_.distances + first_ * k_);
    std::copy_n(work_.found.OnHost(labels_), results, call_.labels + first_ * k_);
    std::copy_n(work_.found.OnHost(undecided_), count_, call_.undecided + first_);
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
  // A part's view of the queries.
  struct View {
    Bundle::Slot<int8_t> codes;
    Bundle::Slot<QueryTerms> terms;
  };

  // Sends the queries, and makes room for what is found.
  void Give() {
    const size_t d = call_.dimension, parts = call_.part_count, results = size_t{count_} * k_;
    Bundle& given = work_.given;
    given.Clear();
    queries_ = given.Add<float>(count_ * d);
    refused_ = given.Add<uint8_t>(count_);
    values_ = given.Add<const float*>(parts);
    firsts_ = given.Add<size_t>(parts);
    for (size_t p = 0; p < parts; ++p)
      views_.push_back(call_.parts[p].coded == 0
                           ? View{}
                           : View{given.Add<int8_t>(count_ * call_.padded), given.Add<QueryTerms>(count_)});
    given.Allocate(work_.stream);
    std::copy_n(call_.queries + first_ * d, count_ * d, given.OnHost(queries_));
    uint8_t* const refused = given.OnHost(refused_);
    std::fill_n(refused, count_, uint8_t{0});
    for (size_t p = 0; p < parts; ++p) {
      const SearchPart& part = call_.parts[p];
      given.OnHost(values_)[p] = part.block->values.data();
      given.OnHost(firsts_)[p] = part.first;
      if (part.coded == 0) continue;
      std::copy_n(part.codes + first_ * call_.padded, count_ * call_.padded, given.OnHost(views_[p].codes));
      std::copy_n(part.terms + first_, count_, given.OnHost(views_[p].terms));
      // Queries that codes cannot be trusted with are not begun.
      for (size_t j = 0; j < count_; ++j) refused[j] |= part.terms[first_ + j].safe ? 0 : 1;
    }
    given.ToDevice(work_.stream);

    work_.found.Clear();
    distances_ = work_.found.Add<float>(results);
    labels_ = work_.found.Add<int32_t>(results);
    undecided_ = work_.found.Add<uint8_t>(count_);
    overflow_ = work_.found.Add<uint32_t>(1);
    work_.found.Allocate(work_.stream);
    work_.rules.AtLeast(count_);
    work_.keys.AtLeast(count_ * room_);
    lists_ = {work_.items.AtLeast(count_ * room_), work_.counts.AtLeast(count_),    work_.thresholds.AtLeast(count_),
              work_.found.OnDevice(undecided_),    work_.found.OnDevice(overflow_), static_cast<uint32_t>(room_)};
  }

  // Runs from the next place on, until all rows are met or it is time to look whether the search was cancelled.
  void QueueRuns() {
    for (size_t work = 0; at_.part < call_.part_count && work < kWorkAtOnce;) {
      const SearchPart& part = call_.parts[at_.part];
      if (at_.row == part.rows) {
        at_ = {at_.part + 1, 0, at_.seen};
        continue;
      }
      const bool coded = at_.row < part.coded;
      const size_t end = coded ? part.coded : part.rows;
      const size_t growth = std::clamp<size_t>(room_ / (2 * kSpare * k_), 1, kMostGrowth);
      const size_t wanted = at_.seen == 0 ? std::min(std::max(kFirstRows, 4 * call_.k), room_ / 2) : at_.seen * growth;
      const size_t taken = std::min({wanted, at_.shortest, end - at_.row});
      runs_.push_back({at_, taken});
      lists_.run = static_cast<uint32_t>(runs_.size());
      Scan(part, views_[at_.part], at_.row, at_.row + taken, coded);
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

  void Scan(const SearchPart& part, const View& view, size_t begin, size_t end, bool coded) {
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
                          work_.given.OnDevice(view.codes),
                          work_.given.OnDevice(view.terms),
                          work_.rules.data(),
                          work_.given.OnDevice(queries_),
                          count_,
                          {call_.selection == nullptr ? nullptr : work_.selection.data(), call_.selection_words},
                          lists_};
    const size_t rows = end - begin;
    if (!coded) {
      Launch(ScanPlain, dim3(Blocks(rows, kScanThreads / kExactLanes), std::min(count_, 64u)), dim3(kScanThreads),
             work_.stream, a);
    } else if (count_ > kFewQueries) {
      Launch(MakeRules, dim3(Blocks(count_, kThreads)), dim3(kThreads), work_.stream, a, work_.rules.data());
      Launch(ScanMany, dim3(Blocks(rows, kTileRows) * QueryBlocks(count_)), dim3(kScanThreads), work_.stream, a);
    } else {
      const size_t blocks = std::min<size_t>(Blocks(rows, kScanThreads / kRowLanes), Multiprocessors() * kBlocksAtWork);
      const auto scan = count_ == 1 ? ScanFew<1> : count_ == 2 ? ScanFew<2> : count_ <= 4 ? ScanFew<4> : ScanFew<8>;
      Launch(scan, dim3(static_cast<uint32_t>(blocks)), dim3(kScanThreads), work_.stream, a);
    }
    Check(cudaGetLastError());
  }

  void QueueResults() {
    const RowTable rows{work_.given.OnDevice(values_), work_.given.OnDevice(firsts_),
                        static_cast<uint32_t>(call_.part_count)};
    const uint32_t shares = std::clamp<uint32_t>(static_cast<uint32_t>(2 * Multiprocessors()) / count_, 1, 64);
    Launch(FindKeys, dim3(count_, shares), dim3(kListThreads), work_.stream, lists_, rows,
           work_.given.OnDevice(queries_), static_cast<uint32_t>(call_.dimension), call_.metric, work_.keys.data());
    Launch(RankNearest, dim3(count_), dim3(kListThreads), work_.stream, lists_, work_.keys.data(), k_, call_.metric,
           work_.found.OnDevice(distances_), work_.found.OnDevice(labels_));
    Check(cudaGetLastError());
  }

  const SearchCall& call_;
  const size_t first_;
  const uint32_t count_, k_;
  Workspace& work_;
  const size_t room_;
  CandidateLists lists_{};
  Place at_;
  std::vector<QueuedRun> runs_;  // since the last look
  std::vector<View> views_;      // a part's each
  Bundle::Slot<float> queries_;
  Bundle::Slot<uint8_t> refused_;
  Bundle::Slot<const float*> values_;
  Bundle::Slot<size_t> firsts_;
  Bundle::Slot<float> distances_;
  Bundle::Slot<int32_t> labels_;
  Bundle::Slot<uint8_t> undecided_;
  Bundle::Slot<uint32_t> overflow_;
};

}  // namespace

void Search(const SearchCall& call) {
  const Lent<Workspace> workspace;
  if (call.selection != nullptr) {
    workspace->selection.AtLeast(call.selection_words);
    workspace->stream.ToDevice(workspace->selection.data(), call.selection, call.selection_words);
  }
  for (size_t first = 0; first < call.nq; first += kQueriesAtOnce)
    Batch(call, first, std::min(kQueriesAtOnce, call.nq - first), *workspace).Run();
}

void FreeIdle() { Lent<Workspace>::FreeIdle(); }

}  // namespace flatrank::cuda
