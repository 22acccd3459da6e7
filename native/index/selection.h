// Which rows a search may return.
#ifndef FLATRANK_INDEX_SELECTION_H_
#define FLATRANK_INDEX_SELECTION_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace flatrank {

// A set of labels as a bitmap: bit i % 64 of word i / 64 stands for label i. Labels behind the last word are out.
class Selection {
 public:
  explicit Selection(std::vector<uint64_t> words) : words_(std::move(words)) {}

  const std::vector<uint64_t>& words() const { return words_; }
  bool Has(size_t label) const { return label / 64 < words_.size() && ((words_[label / 64] >> (label % 64)) & 1) != 0; }

  // How many labels of [begin, end) are in.
  size_t Count(size_t begin, size_t end) const {
    if (begin >= end || begin / 64 >= words_.size()) return 0;
    const size_t first = begin / 64, last = (end - 1) / 64;
    const uint64_t head = ~uint64_t{0} << (begin % 64), tail = ~uint64_t{0} >> (63 - (end - 1) % 64);
    const auto count = [](uint64_t word) { return ActiveKernels().count_bits(&word, 1); };
    if (first == last) return count(words_[first] & head & tail);
    const size_t whole = std::min(last, words_.size());
    return count(words_[first] & head) + ActiveKernels().count_bits(words_.data() + first + 1, whole - first - 1) +
           count(WordAt(last) & tail);
  }

  // The first label of [begin, end) that is in, or else `end`.
  size_t Next(size_t begin, size_t end) const { return Find(begin, end, 0); }
  // The first label of [begin, end) that is out, or else `end`.
  size_t NextOut(size_t begin, size_t end) const { return Find(begin, end, ~uint64_t{0}); }

 private:
  uint64_t WordAt(size_t i) const { return i < words_.size() ? words_[i] : 0; }

  size_t Find(size_t begin, size_t end, uint64_t flip) const {
    for (size_t i = begin; i < end; i = (i / 64 + 1) * 64) {
      const uint64_t word = (WordAt(i / 64) ^ flip) & (~uint64_t{0} << (i % 64));
      if (word != 0) {
        const size_t found = i / 64 * 64 + static_cast<size_t>(std::countr_zero(word));
        return found < end ? found : end;
      }
    }
    return end;
  }

  std::vector<uint64_t> words_;
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_SELECTION_H_
