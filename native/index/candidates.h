// The rows that can still be among the k nearest of one query.
#ifndef FLATRANK_INDEX_CANDIDATES_H_
#define FLATRANK_INDEX_CANDIDATES_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace flatrank {

enum class Metric { kL2, kInnerProduct };

// Inside the index smaller is always nearer: the key is the squared distance, or the negated inner product.
struct Candidate {
  double lower, upper;  // the key lies between; both are the key once the candidate is refined
  const float* row;
  int32_t label;
  bool refined;
};

// Gives candidates their defined key.
class Refiner {
 public:
  Refiner(const float* query, size_t dimension, Metric metric) : query_(query), d_(dimension), metric_(metric) {}
  void Refine(Candidate& candidate) const;

 private:
  const float* query_;
  size_t d_;
  Metric metric_;
};

// Collects candidates with certified intervals and forgets those that k others precede for certain. Holds at most
// about 4k: where intervals are too wide or too many keys are equal to decide, it refines what it has and keeps k.
class Candidates {
 public:
  explicit Candidates(size_t k) : k_(k), capacity_(k > 16 ? 4 * k : 64) {}

  // The k-th smallest upper bound seen; a row whose lower bound exceeds it is out. Infinite until k rows were seen.
  double threshold() const { return threshold_; }
  // How many candidates had to be refined because their intervals did not decide.
  size_t refined() const { return refined_; }

  void Push(const Candidate& candidate, const Refiner& refiner) {
    items_.push_back(candidate);
    if (items_.size() >= capacity_) Compact(refiner);
  }

  // Adds what another collector of the same query holds.
  void Merge(const Candidates& other, const Refiner& refiner) {
    for (const Candidate& candidate : other.items_)
      if (candidate.lower <= threshold_) Push(candidate, refiner);
  }

  // The k nearest (or all, if fewer), refined, ordered by key and then label. Empties the collector.
  std::vector<Candidate> Take(const Refiner& refiner);

 private:
  void Prune();
  void Compact(const Refiner& refiner);
  void RefineAll(const Refiner& refiner);

  size_t k_;
  size_t capacity_;
  size_t refined_ = 0;
  double threshold_ = std::numeric_limits<double>::infinity();
  std::vector<Candidate> items_;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_CANDIDATES_H_
