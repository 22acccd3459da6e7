#include "index/candidates.h"

#include <algorithm>
#include <utility>

#include "index/bounds.h"

namespace flatrank {

namespace {

// Moves what `from` holds behind what `to` holds.
template <typename T>
void Append(std::vector<T>& to, std::vector<T>& from) {
  if (to.empty())
    to.swap(from);
  else
    to.insert(to.end(), from.begin(), from.end());
  from = {};
}

}  // namespace

// Selecting in a buffer of several k and cutting it at once beats a heap for every k.
void Candidates::SelectUppers() {
  if (uppers_.size() < k_) return;
  const auto kth = uppers_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
  std::nth_element(uppers_.begin(), kth, uppers_.end(),
                   [](const Upper& a, const Upper& b) { return a.upper < b.upper; });
  Lower(kth->upper);
  uppers_.resize(k_);
}

void Candidates::PushExact(const Nearest& row) {
  nearest_.push_back(row);
  if (selects_ && nearest_.size() >= 2 * k_ + 64) KeepNearest();
}

void Candidates::Learn(const Nearest* rows, size_t count) {
  nearest_.insert(nearest_.end(), rows, rows + count);
  KeepNearest();
}

void Candidates::Tighten(const Refiner& refiner) {
  if (!selects_ || noted_ < tighten_at_ || uppers_.size() < k_) return;
  noted_ = 0;
  tighten_at_ *= 2;
  SelectUppers();
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < uppers_.size(); ++i) {
    if (i + 1 < uppers_.size() && !uppers_[i + 1].refined) refiner.Prefetch(uppers_[i + 1].label);
    Upper& upper = uppers_[i];
    if (!upper.refined) upper = {std::min(upper.upper, RoundUp(refiner.Key(upper.label))), upper.label, true};
    largest = std::max(largest, upper.upper);
  }
  Lower(largest);
}

void Candidates::Merge(Candidates& other) {
  Lower(other.threshold_);
  Append(items_, other.items_);
  Append(uppers_, other.uppers_);
  Append(nearest_, other.nearest_);
}

void Candidates::DropBeyondThreshold() {
  std::erase_if(items_, [this](const Interval& row) { return row.lower > threshold_; });
}

void Candidates::Compact(const Refiner& refiner) {
  if (selects_) SelectUppers();
  DropBeyondThreshold();
  if (items_.size() <= room_ / 2) return;
  if (!selects_ || 2 * room_ <= std::max(kMost, kMostPerK * k_)) {
    room_ *= 2;
  } else {
    RefineAll(refiner);
  }
}

void Candidates::RefineAll(const Refiner& refiner) {
  refined_ += items_.size();
  for (size_t i = 0; i < items_.size(); ++i) {
    if (i + 1 < items_.size()) refiner.Prefetch(items_[i + 1].label);
    nearest_.push_back({refiner.Key(items_[i].label), items_[i].label});
  }
  items_.clear();
  KeepNearest();
}

void Candidates::KeepNearest() {
  if (!selects_ || nearest_.size() < k_) return;
  const auto kth = nearest_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
  std::nth_element(nearest_.begin(), kth, nearest_.end());
  Lower(RoundUp(kth->key));
  nearest_.resize(k_);
}

size_t Candidates::Take(std::vector<Interval>& intervals) {
  if (selects_) SelectUppers();
  KeepNearest();
  DropBeyondThreshold();
  intervals = std::exchange(items_, {});
  if (!selects_ || intervals.size() <= 2 * k_) return intervals.size();
  std::nth_element(intervals.begin(), intervals.begin() + static_cast<std::ptrdiff_t>(k_), intervals.end(),
                   [](const Interval& a, const Interval& b) { return a.upper < b.upper; });
  return k_;
}

std::vector<Nearest> Candidates::TakeNearest() {
  KeepNearest();
  std::sort(nearest_.begin(), nearest_.end());
  return std::exchange(nearest_, {});
}

}  // namespace flatrank
