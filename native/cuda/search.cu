#include "cuda/search.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
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
};

// Workspaces that no search uses at the moment.
class Workspaces {
 public:
  std::unique_ptr<Workspace> Take() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        auto workspace = std::move(idle_.back());
        idle_.pop_back();
        return workspace;
      }
    }
    return std::make_unique<Workspace>();
  }
  void GiveBack(std::unique_ptr<Workspace> workspace) {
    std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
};

// Never destroyed: when a process ends, CUDA may be gone before static objects are.
Workspaces& SharedWorkspaces() {
  static Workspaces* const workspaces = new Workspaces;
  return *workspaces;
}

size_t Multiprocessors() {
  static const size_t count = [] {
    int value = 1;
    Check(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
    return static_cast<size_t>(value);
  }();
  return count;
}

// The search of some of a call's queries.
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
    for (size_t p = 0; p < call_.part_count; ++p) {
      const SearchPart& part = call_.parts[p];
      if (part.coded > 0) TakeQueries(part);
      Meet(part, 0, part.coded, true);
      Meet(part, part.coded, part.rows, false);
    }
    Finish();
  }

 private:
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
    std::vector<uint8_t> refused(count_);
    for (size_t p = 0; p < call_.part_count; ++p)
      for (size_t j = 0; j < count_ && call_.parts[p].coded > 0; ++j)
        refused[j] |= call_.parts[p].terms[first_ + j].safe ? 0 : 1;
    work_.stream.ToDevice(work_.undecided.data() + count_, refused.data(), count_);
    Launch(StartLists, dim3(Blocks(count_, kThreads)), dim3(kThreads), work_.stream, lists_, count_,
           work_.undecided.data() + count_);
    work_.stream.Wait();  // what was copied from goes
  }

  // The part's view of the queries.
  void TakeQueries(const SearchPart& part) {
    work_.codes.AtLeast(count_ * call_.padded);
    work_.terms.AtLeast(count_);
    work_.stream.ToDevice(work_.codes.data(), part.codes + first_ * call_.padded, count_ * call_.padded);
    work_.stream.ToDevice(work_.terms.data(), part.terms + first_, count_);
  }

  // Rows [begin, end) of a part, in runs that get longer as thresholds get sharper. A run after which a list was too
  // short is repeated in shorter ones: what it found lowered the thresholds.
  void Meet(const SearchPart& part, size_t begin, size_t end, bool coded) {
    size_t shortest = std::numeric_limits<size_t>::max();
    while (begin < end) {
      if (call_.cancelled(call_.token)) throw Cancelled{};
      const size_t growth = std::clamp<size_t>(room_ / (2 * kSpare * k_), 1, kMostGrowth);
      const size_t wanted = seen_ == 0 ? std::min(std::max(kFirstRows, 4 * call_.k), room_ / 2) : seen_ * growth;
      const size_t taken = std::min({wanted, shortest, end - begin});
      Scan(part, begin, begin + taken, coded);
      uint32_t overflow = 0;
      work_.stream.ToHost(&overflow, lists_.overflow, 1);
      work_.stream.Wait();
      const bool again = overflow != 0;
      Launch(ThinOut, dim3(count_), dim3(kListThreads), work_.stream, lists_, k_,
             again ? static_cast<uint32_t>(part.first + begin) : kAllRows);
      Check(cudaGetLastError());
      if (again) {
        work_.stream.Zero(lists_.overflow, 1);
        shortest = std::max(taken / 4, room_ / 2);  // half a list takes that many for certain
      } else {
        begin += taken;
        seen_ += taken;
      }
    }
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

  void Finish() {
    const size_t results = size_t{count_} * k_;
    std::vector<const float*> values;
    std::vector<size_t> firsts;
    for (size_t p = 0; p < call_.part_count; ++p) {
      values.push_back(call_.parts[p].block->values.data());
      firsts.push_back(call_.parts[p].first);
    }
    const RowTable rows{work_.values.AtLeast(values.size()), work_.firsts.AtLeast(firsts.size()),
                        static_cast<uint32_t>(values.size())};
    work_.stream.ToDevice(work_.values.data(), values.data(), values.size());
    work_.stream.ToDevice(work_.firsts.data(), firsts.data(), firsts.size());
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
    work_.stream.ToHost(call_.distances + first_ * k_, work_.distances.data(), results);
    work_.stream.ToHost(call_.labels + first_ * k_, work_.labels.data(), results);
    work_.stream.ToHost(call_.undecided + first_, lists_.undecided, count_);
    work_.stream.Wait();
  }

  const SearchCall& call_;
  const size_t first_;
  const uint32_t count_, k_;
  Workspace& work_;
  const size_t room_;
  CandidateLists lists_{};
  size_t seen_ = 0;
};

}  // namespace

void Search(const SearchCall& call) {
  auto workspace = SharedWorkspaces().Take();
  if (call.selection != nullptr) {
    workspace->selection.AtLeast(call.selection_words);
    workspace->stream.ToDevice(workspace->selection.data(), call.selection, call.selection_words);
  }
  for (size_t first = 0; first < call.nq; first += kQueriesAtOnce)
    Batch(call, first, std::min(kQueriesAtOnce, call.nq - first), *workspace).Run();
  SharedWorkspaces().GiveBack(std::move(workspace));
}

}  // namespace flatrank::cuda
