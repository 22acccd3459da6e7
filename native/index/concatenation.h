#ifndef FLATRANK_INDEX_CONCATENATION_H_
#define FLATRANK_INDEX_CONCATENATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "index/block.h"
#include "index/selection.h"

namespace flatrank {

// The rows of several indexes as those of one: labels count through them in the order they were appended.
class Concatenation {
 public:
  // Appends the first `rows` rows of `part`, and of those the ones whose bit is set: row i is bit i % 8 of byte i / 8
  // of `bitmap` (null: all). Throws Error(kInvalidArgument) where there are fewer rows, Error(kCapacity) for too many
  // labels.
  void Append(const Snapshot& part, size_t rows, const uint8_t* bitmap);

  const Snapshot& snapshot() const { return snapshot_; }
  // The labels that are in, once; empty where all are.
  std::optional<Selection> TakeSelection();

 private:
  // Sets the bits [begin, end) of words_.
  void Fill(size_t begin, size_t end);

  Snapshot snapshot_;
  std::vector<uint64_t> words_;
  bool selecting_ = false;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_CONCATENATION_H_
