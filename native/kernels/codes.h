// int8 codes of rotated rows, and the inner loops over them: one table an instruction set, reached through Kernels.
//
// Codes lie in panels of 16 rows: `steps` groups of 16 x 4 code bytes, step s holding values 4 s to 4 s + 3 of every
// row, and behind them the panel's PanelTerms. What the numbers mean and why they bound a distance is told in
// index/code_bounds.h; here they are only computed.
#ifndef FLATRANK_KERNELS_CODES_H_
#define FLATRANK_KERNELS_CODES_H_

#include <cstddef>
#include <cstdint>

namespace flatrank {

inline constexpr size_t kPanelRows = 16;
inline constexpr size_t kStepValues = 4;
// Coded vectors are padded with zeros to a multiple of this many values.
inline constexpr size_t kCodeBlock = 32;

// What the rule below needs of each row beside its codes.
struct PanelTerms {
  float offset[kPanelRows];
  float scale[kPanelRows];
  float norm[kPanelRows];
  float residual[kPanelRows];
};

// A row's codes and terms by themselves, where they lie row by row: its `steps` groups of 4 code bytes, and behind them
// its RowTerms.
struct RowTerms {
  float offset, scale, norm, residual;
};

constexpr size_t RowBytes(size_t steps) { return steps * kStepValues + sizeof(RowTerms); }

constexpr size_t PanelBytes(size_t steps) { return steps * kPanelRows * kStepValues + sizeof(PanelTerms); }

// A row is kept where offset - dot_weight * scale * dot - norm_weight * norm - residual_weight * residual <= threshold,
// dot being the integer product of the row's and the query's codes.
struct CodeRule {
  float dot_weight;
  float norm_weight;
  float residual_weight;
  float threshold;
};

struct CodeHit {
  uint32_t query;  // position among the queries scanned
  uint32_t row;    // position among the rows scanned
  int32_t dot;
};

// Codes of `count` queries in groups as equal as can be (GroupCount, GroupSize), each group (steps, size) words of four
// signed bytes.
struct CodeQueries {
  const int32_t* codes;
  const int32_t* bias;  // what the sums start from: see CodeKernels::bias_steps; same groups, (biases, size)
  size_t count;
};

constexpr size_t GroupCount(size_t queries, size_t tile, size_t lone_tile) {
  return queries <= lone_tile ? 1 : (queries + tile - 1) / tile;
}
constexpr size_t GroupSize(size_t queries, size_t groups, size_t group) {
  return queries / groups + (group < queries % groups ? 1 : 0);
}

// What encode finds out about a row (or query): its codes times `scale` stand for it.
struct Encoded {
  float scale;
  float residual2;     // fp32 sum of squared differences between the vector and what stands for it, each rounded
  int32_t code_norm2;  // sum of squared codes
};

struct CodeKernels {
  // Added to a row's codes when they are stored: 128 where the instruction multiplies unsigned with signed bytes.
  int code_offset;
  // Queries a register tile holds, and how many it may hold where they are all there are.
  size_t tile, lone_tile;
  // The bias takes the code offset out again. 0: one 32-bit sum a query. N: partial sums of N steps in pairs of
  // 16 bits, one pair every N steps; queries are then encoded so that those cannot overflow, which depends on the
  // largest lane_norm2 of the rows.
  size_t bias_steps;

  // out (padded) = rotation of x - centre, x and centre (d). `signs` (2, padded) are two vectors of plus or minus one,
  // the second one divided by `block`, the largest power of two that divides `padded`: signs, Hadamard transform of
  // every block, transposition of (blocks, block), signs, Hadamard transform. scratch (padded).
  void (*rotate)(const float* x, const float* centre, size_t d, const float* signs, size_t padded, float* out,
                 float* scratch);

  // Codes of x (padded), -127..127.
  Encoded (*encode)(const float* x, size_t padded, int8_t* codes);
  // The same for a query: its codes fit what bias_steps says. lane_norm2 is that of the rows it will meet.
  Encoded (*encode_query)(const float* x, size_t padded, double lane_norm2, int8_t* codes);

  // Scans `panels` panels for the queries of one panel of queries; rules (count), hits (16 * panels * count). Returns
  // the number of hits, ordered by nothing in particular.
  size_t (*scan)(const uint8_t* data, size_t panels, size_t steps, const CodeQueries& queries, const CodeRule* rules,
                 CodeHit* hits);
};

extern const CodeKernels kScalarCodes;
extern const CodeKernels kAvx2Codes;
extern const CodeKernels kVnniCodes;
extern const CodeKernels kNeonCodes;

}  // namespace flatrank

#endif  // FLATRANK_KERNELS_CODES_H_
