#include "cuda/block.h"

#include <algorithm>

namespace flatrank::cuda {

namespace {

constexpr size_t kBytesAtOnce = size_t{4} << 20;

// One piece is filled while the GPU reads the other.
struct Staging {
  struct Piece {
    PinnedArray<char> memory;
    Event read;
  };
  Piece pieces[2];
  Stream stream;
};

// Calls write(memory, from, to, stream) for rows [begin, end), as many at once as have room in a piece of memory.
template <typename Write>
void InPieces(size_t begin, size_t end, size_t row_bytes, Write write) {
  const Lent<Staging> staging;
  const size_t at_once = std::min(std::max<size_t>(kBytesAtOnce / row_bytes, 1), end - begin);
  for (size_t from = begin, turn = 0; from < end; from += at_once, turn ^= 1) {
    Staging::Piece& piece = staging->pieces[turn];
    piece.read.Wait();
    char* const memory = piece.memory.AtLeast(at_once * row_bytes);
    if (!write(memory, from, std::min(from + at_once, end), staging->stream)) break;
    piece.read.Record(staging->stream);
  }
  staging->stream.Wait();
}

}  // namespace

void DeviceBlock::Write(const RowsToWrite& rows) const {
  InPieces(rows.begin, rows.end, dimension * sizeof(float),
           [&](char* memory, size_t from, size_t to, const Stream& stream) {
             auto* const source = reinterpret_cast<float*>(memory);
             if (!rows.fill(rows.context, from, to, source)) return false;
             stream.ToDevice(values.data() + from * dimension, source, (to - from) * dimension);
             return true;
           });
}

void DeviceBlock::Write(const CodesToWrite& rows) const {
  InPieces(rows.begin, rows.end, padded + sizeof(RowTerms),
           [&](char* memory, size_t from, size_t to, const Stream& stream) {
             const size_t count = to - from;
             auto* const row_terms = reinterpret_cast<RowTerms*>(memory);
             auto* const row_codes = reinterpret_cast<int8_t*>(row_terms + count);
             if (!rows.fill(rows.context, from, to, row_codes, row_terms)) return false;
             stream.ToDevice(codes.data() + from * padded, row_codes, count * padded);
             stream.ToDevice(terms.data() + from, row_terms, count);
             return true;
           });
}

void DeviceBlock::FreeIdle() { Lent<Staging>::FreeIdle(); }

}  // namespace flatrank::cuda
