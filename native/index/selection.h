// Which rows a search may return.
#ifndef FLATRANK_INDEX_SELECTION_H_
#define FLATRANK_INDEX_SELECTION_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace flatrank {

// A set of labels as a bitmap: bit i % 64 of word i / 64 stands for label i. Labels behind the last word are out.
class Selection {
 public:
  explicit Selection(std::vector<uint64_t> words) : words_(std::move(words)) {}

  bool Has(size_t label) const { return label / 64 < words_.size() && ((words_[label / 64] >> (label % 64)) & 1) != 0; }

  // How many labels of [begin, end) are in.
  size_t Count(size_t begin, size_t end) const {
    size_t count = 0;
    ForEachWord(begin, end, [&](size_t, uint64_t word) { count += static_cast<size_t>(std::popcount(word)); });
    return count;
  }

  // The first label of [begin, end) that is in, or else `end`.
  size_t Next(size_t begin, size_t end) const { return Find(begin, end, 0); }
  // The first label of [begin, end) that is out, or else `end`.
  size_t NextOut(size_t begin, size_t end) const { return Find(begin, end, ~uint64_t{0}); }

 private:
  uint64_t WordAt(size_t i) const { return i < words_.size() ? words_[i] : 0; }

  template <typename Body>
  void ForEachWord(size_t begin, size_t end, Body body) const {
    for (size_t i = begin; i < end; i = (i / 64 + 1) * 64) {
      uint64_t word = WordAt(i / 64) & (~uint64_t{0} << (i % 64));
      if (end < (i / 64 + 1) * 64) word &= (uint64_t{1} << (end % 64)) - 1;
      body(i / 64 * 64, word);
    }
  }

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
