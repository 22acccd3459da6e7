// What an index works out about rows before it searches them, norms and codes, as a file to be mapped: so that rows in
// a file are searched without being read first.
#ifndef FLATRANK_INDEX_PREPARED_H_
#define FLATRANK_INDEX_PREPARED_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/mapped_file.h"
#include "index/block.h"
#include "index/block_codes.h"

namespace flatrank {

// Bytes of the file for a part; 0 where there is nothing worth a file: rows without codes.
size_t PreparedBytes(const Part& part, const CodeSpace& space);

// Writes them to `out`.
void WritePrepared(const Part& part, const CodeSpace& space, std::byte* out);

// Bytes of the file of a part's codes row by row, and what is written there.
size_t CodeRowsBytes(const Part& part, const CodeSpace& space);
void WriteCodeRows(const Part& part, const CodeSpace& space, std::byte* out);

// The part over `rows` rows that lie in `file` at `offset`, as the file `prepared` describes them. Empty (a part
// without a block) where that was made by another version or for another instruction set. Throws Error(kBadFile) where
// it is for other rows, or shorter than it says. Its values are taken as they are: whoever knows their checksum has
// checked them. `code_rows`, where it is not null, is the file of the same codes row by row.
Part ReadPrepared(std::shared_ptr<const MappedFile> file, uint64_t offset, size_t rows, const CodeSpace& space,
                  std::shared_ptr<const MappedFile> prepared, std::shared_ptr<const MappedFile> code_rows,
                  std::shared_ptr<Block>& block);

}  // namespace flatrank

#endif  // FLATRANK_INDEX_PREPARED_H_
