// Removal of rows: blocks that lose some are packed anew, the others stay as they are.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "index/entry.h"

namespace flatrank {

namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;  // between two looks at the cancellation

}  // namespace

std::vector<Entry> Without(const std::vector<Entry>& entries, const Selection& selection, size_t dimension,
                           size_t largest, const Cancellation& cancellation) {
  std::vector<Entry> result;
  size_t first = 0;
  const auto append = [&](Entry entry) {
    entry.part.first = first;
    first += entry.part.rows + entry.staged;
    result.push_back(std::move(entry));
  };
  const auto kept = [&](const Entry& e) {
    return e.part.rows - selection.Count(e.part.first, e.part.first + e.part.rows);
  };
  // Packs what is kept of entries [begin, end) into new blocks.
  const auto pack = [&](size_t begin, size_t end) {
    size_t left = 0;
    for (size_t i = begin; i < end; ++i) left += kept(entries[i]);
    Entry open;
    for (size_t i = begin; i < end; ++i) {
      const Part& part = entries[i].part;
      const size_t last = part.first + part.rows;
      for (size_t label = selection.NextOut(part.first, last); label < last;) {
        cancellation.ThrowIfCancelled();
        if (!open.block) {
          open.block = std::make_shared<Block>(std::min(left, largest), dimension);
          open.part.block = open.block;
        }
        const size_t run = std::min({selection.Next(label, last) - label, open.block->capacity() - open.staged,
                                     std::max(kCopyBytes / (dimension * sizeof(float)), size_t{1})});
        float* const to = open.block->rows_to_write() + open.staged * dimension;
        const float* const from = part.block->Rows(label - part.first, run, to);
        if (from != to) std::memcpy(to, from, run * dimension * sizeof(float));
        open.staged += run;
        left -= run;
        if (open.staged == open.block->capacity()) append(std::exchange(open, {}));
        label = selection.NextOut(label + run, last);
      }
    }
  };
  // Neighbours of what is packed anew that are small are packed with it, so that blocks do not become many.
  for (size_t i = 0; i < entries.size();) {
    size_t end = i;
    bool changed = false;
    for (; end < entries.size(); ++end) {
      const bool loses = kept(entries[end]) < entries[end].part.rows;
      if (!loses && entries[end].part.rows >= largest / 4) break;
      changed = changed || loses;
    }
    if (changed) {
      pack(i, end);
    } else {
      for (size_t j = i; j < end; ++j) append(entries[j]);
    }
    if (end < entries.size()) append(entries[end++]);
    i = end;
  }
  return result;
}

}  // namespace flatrank
