// The rows that can still be among the k nearest of one query.
#ifndef FLATRANK_INDEX_CANDIDATES_H_
#define FLATRANK_INDEX_CANDIDATES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "index/refiner.h"

namespace flatrank {

// A row whose key lies between the bounds.
struct Interval {
  float lower, upper;
  uint32_t label;
};

// A row with its defined key.
struct Nearest {
  double key;
  uint32_t label;

  bool operator<(const Nearest& other) const { return key < other.key || (key == other.key && label < other.label); }
};

// Collects rows with certified intervals and forgets those that k others precede for certain. Where intervals are too
// wide, or too many keys are equal, to decide, it refines what it has and keeps k: memory stays bounded.
class Candidates {
 public:
  static constexpr float kNone = std::numeric_limits<float>::infinity();
  // The k nearest of those whose key is at most `limit`.
  explicit Candidates(size_t k, float limit = kNone)
      : k_(k),
        selects_(k != kAll),
        threshold_(limit),
        room_(selects_ ? std::clamp(4 * k, kRoom, kMost) : kRoom),
        tighten_at_(4 * k) {}
  // All whose key is at most the limit.
  static constexpr size_t kAll = std::numeric_limits<size_t>::max();
  // How many of `rows` rows a collector may come to hold.
  static size_t MostHeld(size_t k, size_t rows) {
    return k < rows / kMostPerK ? std::min(std::max(kMost, kMostPerK * k), rows) : rows;
  }

  size_t k() const { return k_; }
  // No row with a lower bound above it is wanted: the k-th smallest upper bound seen.
  float threshold() const { return threshold_; }
  // Adopts a threshold that holds for this query from elsewhere.
  void Lower(float threshold) { threshold_ = threshold < threshold_ ? threshold : threshold_; }
  // How many rows had to be refined because their intervals did not decide.
  size_t refined() const { return refined_; }

  // A row with lower <= threshold(). Every row is pushed once.
  void Push(const Interval& row, const Refiner& refiner) {
    if (items_.capacity() == 0) items_.reserve(room_);
    items_.push_back(row);
    if (selects_ && row.upper < threshold_) NoteUpper(row.upper, row.label);
    if (items_.size() >= room_) Compact(refiner);
  }
  // A row whose key is known.
  void PushExact(const Nearest& row);

  // Where enough rows came since the last time, gives the k with the smallest upper bounds their keys: the threshold
  // becomes as sharp as it can be, and fewer rows follow.
  void Tighten(const Refiner& refiner);

  // Adds what another collector of the same query holds, and empties it.
  void Merge(Candidates& other);

  // Drops what the threshold excludes and moves the intervals left to `intervals`, those that are likely nearest first
  // where there are more than 2 k; returns how many of them should be refined before the rest is looked at again.
  size_t Take(std::vector<Interval>& intervals);
  // Takes keys of rows that Take gave away.
  void Learn(const Nearest* rows, size_t count);
  // The k nearest of the rows whose keys are known, in order. Empties the collector.
  std::vector<Nearest> TakeNearest();

 private:
  // Rows held before they are looked through, at first.
  static constexpr size_t kRoom = 128;
  // Rows held at most before they are refined, as a multiple of k and at least.
  static constexpr size_t kMostPerK = 16, kMost = 4096;

  // Upper bounds gathered beyond 4 k before they are cut to k.
  static constexpr size_t kSpare = 32;

  struct Upper {
    float upper;
    uint32_t label;
    bool refined;
  };

  void NoteUpper(float upper, uint32_t label) {
    if (uppers_.capacity() == 0) uppers_.reserve(std::min<size_t>(4 * k_ + kSpare, room_));
    uppers_.push_back({upper, label, false});
    ++noted_;
    if (uppers_.size() >= 4 * k_ + kSpare || (uppers_.size() == k_ && threshold_ == kNone)) SelectUppers();
  }
  void SelectUppers();
  void Compact(const Refiner& refiner);
  void RefineAll(const Refiner& refiner);
  void DropBeyondThreshold();
  void KeepNearest();

  size_t k_;
  bool selects_;
  float threshold_;
  size_t room_;
  size_t refined_ = 0;
  size_t noted_ = 0;   // upper bounds since the last tightening
  size_t tighten_at_;  // how many make another one worth its price; twice as many each time
  std::vector<Interval> items_;
  std::vector<Upper> uppers_;  // upper bounds below the threshold; its smallest k are kept
  std::vector<Nearest> nearest_;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_CANDIDATES_H_
