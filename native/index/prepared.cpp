#include "index/prepared.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "kernels/codes.h"

namespace flatrank {

namespace {

// Changes whenever codes, or the terms beside them, get another meaning.
constexpr uint32_t kVersion = 1;
constexpr char kMagic[8] = {'F', 'L', 'A', 'T', 'C', 'O', 'D', 'E'};

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t terms_bytes;
  uint32_t panel_rows;
  uint32_t dimension;
  uint32_t metric;
  // Codes are laid out for the kernels that scan them.
  int32_t code_offset;
  uint32_t bias_steps;
  char isa[12];
  uint64_t rows;
  uint64_t coded;
  double max_norm2;
  double lane_norm2;
};
static_assert(sizeof(Header) == 80);

size_t Align(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Where everything begins.
struct Layout {
  Layout(size_t rows, size_t coded, const CodeSpace& space)
      : centre(Align(sizeof(Header))),
        norm2_low(Align(centre + space.dimension * sizeof(float))),
        norm_high(Align(norm2_low + rows * sizeof(float))),
        panels(Align(norm_high + rows * sizeof(float))),
        end(panels + coded / kPanelRows * space.panel_bytes()) {}

  size_t centre, norm2_low, norm_high, panels, end;
};

Header MakeHeader(const CodeSpace& space, size_t rows, size_t coded) {
  Header header{};
  std::copy_n(kMagic, sizeof(kMagic), header.magic);
  header.version = kVersion;
  header.terms_bytes = sizeof(PanelTerms);
  header.panel_rows = kPanelRows;
  header.dimension = static_cast<uint32_t>(space.dimension);
  header.metric = space.metric == Metric::kL2 ? 0 : 1;
  header.code_offset = space.kernels.codes->code_offset;
  header.bias_steps = static_cast<uint32_t>(space.kernels.codes->bias_steps);
  std::strncpy(header.isa, space.kernels.name, sizeof(header.isa) - 1);
  header.rows = rows;
  header.coded = coded;
  return header;
}

}  // namespace

size_t PreparedBytes(const Part& part, const CodeSpace& space) {
  return part.coded == 0 ? 0 : Layout(part.rows, part.coded, space).end;
}

void WritePrepared(const Part& part, const CodeSpace& space, std::byte* out) {
  const Layout layout(part.rows, part.coded, space);
  Header header = MakeHeader(space, part.rows, part.coded);
  header.max_norm2 = part.max_norm2;
  header.lane_norm2 = part.stats.lane_norm2;
  const Block& block = *part.block;
  std::fill(out, out + layout.panels, std::byte{0});
  std::memcpy(out, &header, sizeof(header));
  std::memcpy(out + layout.centre, block.codes->centre(), space.dimension * sizeof(float));
  std::memcpy(out + layout.norm2_low, block.norm2_low.data(), part.rows * sizeof(float));
  std::memcpy(out + layout.norm_high, block.norm_high.data(), part.rows * sizeof(float));
  std::memcpy(out + layout.panels, block.codes->panel(0), layout.end - layout.panels);
}

size_t CodeRowsBytes(const Part& part, const CodeSpace& space) { return part.coded * space.row_bytes(); }

void WriteCodeRows(const Part& part, const CodeSpace& space, std::byte* out) {
  for (size_t row = 0; row < part.coded; ++row, out += space.row_bytes()) {
    const size_t panel = row / kPanelRows, r = row % kPanelRows;
    const uint8_t* const codes = part.block->codes->panel(panel) + r * kStepValues;
    for (size_t s = 0; s < space.steps(); ++s)
      std::memcpy(out + s * kStepValues, codes + s * kPanelRows * kStepValues, kStepValues);
    const PanelTerms& of = part.block->codes->terms(panel);
    const RowTerms terms{of.offset[r], of.scale[r], of.norm[r], of.residual[r]};
    std::memcpy(out + space.padded, &terms, sizeof(terms));
  }
}

Part ReadPrepared(std::shared_ptr<const MappedFile> file, uint64_t offset, size_t rows, const CodeSpace& space,
                  std::shared_ptr<const MappedFile> prepared, std::shared_ptr<const MappedFile> code_rows,
                  std::shared_ptr<Block>& block) {
  Header header;
  std::memcpy(&header, prepared->Range(0, 1, sizeof(header)), sizeof(header));
  const Header expected = MakeHeader(space, rows, header.coded);
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    throw Error(kBadFile, "Expected " + prepared->path() + " to begin with 'FLATCODE'");
  if (std::memcmp(&header, &expected, offsetof(Header, rows)) != 0) return {};
  const size_t coded = static_cast<size_t>(header.coded);
  if (header.rows != rows || coded == 0 || coded > rows || coded % kPanelRows != 0)
    throw Error(kBadFile, "Expected " + prepared->path() + " to be for " + std::to_string(rows) +
                              " rows but received one for " + std::to_string(header.rows));
  const Layout layout(rows, coded, space);
  prepared->Range(0, layout.end, 1);
  block = std::make_shared<Block>(std::move(file), offset, rows, space.dimension,
                                  MappableArray<float>(prepared, layout.norm2_low, rows),
                                  MappableArray<float>(prepared, layout.norm_high, rows));
  std::vector<float> centre(space.dimension);
  std::memcpy(centre.data(), prepared->Range(layout.centre, space.dimension, sizeof(float)),
              space.dimension * sizeof(float));
  block->codes = std::make_unique<BlockCodes>(
      space, MappableArray<uint8_t>(prepared, layout.panels, layout.end - layout.panels), std::move(centre));
  if (code_rows) block->codes->MapRows(std::move(code_rows), coded);
  Part part;
  part.block = block;
  part.coded = coded;
  part.max_norm2 = header.max_norm2;
  part.stats.lane_norm2 = header.lane_norm2;
  return part;
}

}  // namespace flatrank
