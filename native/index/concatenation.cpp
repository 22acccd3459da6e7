#include "index/concatenation.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "index/flat_index.h"

namespace flatrank {

void Concatenation::Append(const Snapshot& part, size_t rows, const uint8_t* bitmap) {
  if (rows > part.rows)
    throw Error(kInvalidArgument, "Expected an index of at least " + std::to_string(rows) +
                                      " rows but received one of " + std::to_string(part.rows));
  const size_t first = snapshot_.rows, end = first + rows;
  if (end > FlatIndex::kMaxRows)
    throw Error(kCapacity, "Expected at most " + std::to_string(FlatIndex::kMaxRows) + " rows but received " +
                               std::to_string(end));
  for (Part piece : part.parts) {
    if (piece.first >= rows) break;
    piece.rows = std::min(piece.rows, rows - piece.first);
    piece.coded = std::min(piece.coded, piece.rows / kPanelRows * kPanelRows);
    piece.first += first;
    snapshot_.parts.push_back(piece);
  }
  snapshot_.rows = end;

  if (bitmap == nullptr && !selecting_) return;
  words_.resize((end + 63) / 64);
  if (!selecting_) Fill(0, first);
  selecting_ = true;
  if (bitmap == nullptr) {
    Fill(first, end);
    return;
  }
  size_t i = 0;
  if (first % 64 == 0) {  // whole words, as segments that are full begin
    for (; i + 64 <= rows; i += 64) {
      uint64_t word = 0;
      for (size_t byte = 0; byte < 8; ++byte) word |= uint64_t{bitmap[i / 8 + byte]} << (8 * byte);
      words_[(first + i) / 64] = word;
    }
  }
  for (; i < rows; i += 8) {
    uint64_t byte = bitmap[i / 8];
    if (rows - i < 8) byte &= (uint64_t{1} << (rows - i)) - 1;
    const size_t at = first + i, shift = at % 64;
    words_[at / 64] |= byte << shift;
    if (shift > 56 && byte >> (64 - shift) != 0) words_[at / 64 + 1] |= byte >> (64 - shift);
  }
}

void Concatenation::Fill(size_t begin, size_t end) {
  for (size_t i = begin; i < end; i = (i / 64 + 1) * 64) {
    uint64_t word = ~uint64_t{0} << (i % 64);
    if (end < (i / 64 + 1) * 64) word &= (uint64_t{1} << (end % 64)) - 1;
    words_[i / 64] |= word;
  }
}

std::optional<Selection> Concatenation::TakeSelection() {
  if (!selecting_) return std::nullopt;
  selecting_ = false;
  return Selection(std::move(words_));
}

}  // namespace flatrank
