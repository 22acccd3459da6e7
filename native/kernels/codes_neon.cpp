// NEON with dot products (ARMv8.2 and later): sdot multiplies four signed bytes with four signed bytes a lane.
#include <arm_neon.h>

#include "kernels/codes.h"

namespace flatrank {

namespace {

#include "kernels/codes_common.inl"

struct CodeVec {
  using Type = float32x4_t;
  static constexpr size_t kLanes = 4;

  static Type Load(const float* p) { return vld1q_f32(p); }
  static void Store(float* p, Type v) { vst1q_f32(p, v); }
  static Type Add(Type a, Type b) { return vaddq_f32(a, b); }
  static Type Sub(Type a, Type b) { return vsubq_f32(a, b); }
  static Type MulAdd(Type a, Type b, Type c) { return vfmaq_f32(c, a, b); }
  template <size_t H>
  static Type Swap(Type v) {
    if constexpr (H == 1) return vrev64q_f32(v);
    return vextq_f32(v, v, 2);
  }
  template <size_t H>
  static Type Alternating() {
    if constexpr (H == 1) return Type{1, -1, 1, -1};
    return Type{1, 1, -1, -1};
  }
};

#include "kernels/codes_rotate.inl"

constexpr int kTile = 5;  // 5 queries x 16 rows: 20 accumulators, 4 rows and 5 queries in 32 registers
constexpr int kVectors = 4;

Encoded EncodeQuery(const float* x, size_t padded, double, int8_t* codes) { return Encode(x, padded, codes); }

inline size_t Keep(const int32x4_t* dots, const PanelTerms& terms, const CodeRule& rule, uint32_t query,
                   uint32_t first_row, CodeHit* hits) {
  const float32x4_t threshold = vdupq_n_f32(rule.threshold);
  uint32x4_t dropped[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(dots[v]), vld1q_f32(terms.scale + 4 * v));
    float32x4_t bound = vfmsq_n_f32(vld1q_f32(terms.offset + 4 * v), scaled, rule.dot_weight);
    bound = vfmsq_n_f32(bound, vld1q_f32(terms.norm + 4 * v), rule.norm_weight);
    bound = vfmsq_n_f32(bound, vld1q_f32(terms.residual + 4 * v), rule.residual_weight);
    dropped[v] = vcgtq_f32(bound, threshold);
  }
  const uint32x4_t all = vandq_u32(vandq_u32(dropped[0], dropped[1]), vandq_u32(dropped[2], dropped[3]));
  if (__builtin_expect(vminvq_u32(all) != 0, 1)) return 0;
  alignas(16) int32_t values[kPanelRows];
  alignas(16) uint32_t drop[kPanelRows];
  for (int v = 0; v < kVectors; ++v) {
    vst1q_s32(values + 4 * v, dots[v]);
    vst1q_u32(drop + 4 * v, dropped[v]);
  }
  size_t found = 0;
  for (uint32_t r = 0; r < kPanelRows; ++r)
    if (drop[r] == 0) hits[found++] = {query, first_row + r, values[r]};
  return found;
}

// A panel with Q queries.
template <int Q>
__attribute__((noinline)) size_t Tile(const uint8_t* data, size_t steps, const int32_t* codes, const int32_t* bias,
                                      const CodeRule* rules, uint32_t first_query, uint32_t first_row, CodeHit* hits) {
  int32x4_t acc[Q][kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < Q; ++j)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) acc[j][v] = vdupq_n_s32(bias[j]);
#pragma GCC unroll 1
  for (size_t s = 0; s < steps; ++s, data += kPanelRows * kStepValues, codes += Q) {
    int8x16_t row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) row[v] = vld1q_s8(reinterpret_cast<const int8_t*>(data) + 16 * v);
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j) {
      const int8x16_t query = vreinterpretq_s8_s32(vld1q_dup_s32(codes + j));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[j][v] = vdotq_s32(acc[j][v], row[v], query);
    }
  }
  const auto& terms = *reinterpret_cast<const PanelTerms*>(data);
  size_t found = 0;
#pragma GCC unroll 8
  for (int j = 0; j < Q; ++j)
    found += Keep(acc[j], terms, rules[j], first_query + static_cast<uint32_t>(j), first_row, hits + found);
  return found;
}

using TileFunction = size_t (*)(const uint8_t*, size_t, const int32_t*, const int32_t*, const CodeRule*, uint32_t,
                                uint32_t, CodeHit*);

constexpr TileFunction kTiles[kTile] = {Tile<1>, Tile<2>, Tile<3>, Tile<4>, Tile<5>};

size_t Scan(const uint8_t* data, size_t panels, size_t steps, const CodeQueries& queries, const CodeRule* rules,
            CodeHit* hits) {
  const size_t bytes = PanelBytes(steps), groups = GroupCount(queries.count, kTile, kTile), share = bytes / groups;
  size_t found = 0;
  for (size_t p = 0; p < panels; ++p, data += bytes) {
    size_t first = 0;
    for (size_t g = 0; g < groups; ++g) {
      const size_t size = GroupSize(queries.count, groups, g);
      for (size_t at = g * share; at < (g + 1) * share; at += 64) __builtin_prefetch(data + bytes + at, 0, 2);
      found += kTiles[size - 1](data, steps, queries.codes + first * steps, queries.bias + first, rules + first,
                                static_cast<uint32_t>(first), static_cast<uint32_t>(p * kPanelRows), hits + found);
      first += size;
    }
  }
  return found;
}

}  // namespace

const CodeKernels kNeonCodes = {0, kTile, kTile, 0, Rotate, Encode, EncodeQuery, Scan};

}  // namespace flatrank
