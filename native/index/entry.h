#ifndef FLATRANK_INDEX_ENTRY_H_
#define FLATRANK_INDEX_ENTRY_H_

#include <memory>
#include <vector>

#include "core/cancellation.h"
#include "index/block.h"
#include "index/block_codes.h"
#include "index/selection.h"

namespace flatrank {

// A block as its writer sees it: what searches see, and the rows staged behind that.
struct Entry {
  Part part;
  std::shared_ptr<Block> block;  // part.block, to be written
  size_t staged = 0;
  bool prepared = false;  // what Complete would work out about the staged rows is there already

  size_t end() const { return part.first + part.rows + staged; }
};

// Checks, measures and, where `coded`, codes the staged rows of `entries`, and counts them as committed. Rows in
// messages count from the first staged one. Throws Error(kNonFinite) and Error(kCancelled).
void Complete(std::vector<Entry>& entries, const CodeSpace& space, bool coded, int max_threads,
              const Cancellation& cancellation);

// The entries without the selected rows, packed anew where rows went, as entries to complete; labels move up. `largest`
// is the most rows of a block.
std::vector<Entry> Without(const std::vector<Entry>& entries, const Selection& selection, size_t dimension,
                           size_t largest, const Cancellation& cancellation);

}  // namespace flatrank

#endif  // FLATRANK_INDEX_ENTRY_H_
