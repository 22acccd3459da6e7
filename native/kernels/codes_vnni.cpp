// AVX-512 with VNNI: vpdpbusd multiplies four unsigned row bytes with four signed query bytes a lane and adds them up.
#include <immintrin.h>

#include "kernels/codes.h"

namespace flatrank {

namespace {

#include "kernels/codes_common.inl"

struct CodeVec {
  using Type = __m512;
  static constexpr size_t kLanes = 16;

  static Type Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, Type v) { _mm512_storeu_ps(p, v); }
  static Type Add(Type a, Type b) { return _mm512_add_ps(a, b); }
  static Type Sub(Type a, Type b) { return _mm512_sub_ps(a, b); }
  static Type MulAdd(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
  template <size_t H>
  static Type Swap(Type v) {
    if constexpr (H == 1) return _mm512_permute_ps(v, 0xb1);
    if constexpr (H == 2) return _mm512_permute_ps(v, 0x4e);
    if constexpr (H == 4) return _mm512_shuffle_f32x4(v, v, 0xb1);
    return _mm512_shuffle_f32x4(v, v, 0x4e);
  }
  template <size_t H>
  static Type Alternating() {
    constexpr __mmask16 set = H == 1 ? 0xaaaa : H == 2 ? 0xcccc : H == 4 ? 0xf0f0 : 0xff00;
    return _mm512_mask_blend_ps(set, _mm512_set1_ps(1.0f), _mm512_set1_ps(-1.0f));
  }
};

#include "kernels/codes_rotate.inl"

constexpr int kTile = 12;  // 2 panels x 12 queries: 24 accumulators, 2 rows and a query in 32 registers
constexpr int kLoneTile = 16;

Encoded EncodeQuery(const float* x, size_t padded, double, int8_t* codes) { return Encode(x, padded, codes); }

// The rule, on 16 rows of one panel.
inline size_t Keep(const int32_t* dots, const PanelTerms& terms, const CodeRule& rule, uint32_t query,
                   uint32_t first_row, CodeHit* hits) {
  const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(dots)), _mm512_loadu_ps(terms.scale));
  __m512 bound = _mm512_fnmadd_ps(scaled, _mm512_set1_ps(rule.dot_weight), _mm512_loadu_ps(terms.offset));
  bound = _mm512_fnmadd_ps(_mm512_loadu_ps(terms.norm), _mm512_set1_ps(rule.norm_weight), bound);
  bound = _mm512_fnmadd_ps(_mm512_loadu_ps(terms.residual), _mm512_set1_ps(rule.residual_weight), bound);
  uint32_t mask = _mm512_cmp_ps_mask(bound, _mm512_set1_ps(rule.threshold), _CMP_NGT_UQ);
  size_t found = 0;
  for (; mask != 0; mask &= mask - 1) {
    const uint32_t r = static_cast<uint32_t>(__builtin_ctz(mask));
    hits[found++] = {query, first_row + r, dots[r]};
  }
  return found;
}

// Keeps the compiler from copying accumulators around and spilling them.
inline void Pin(__m512i& v) { __asm__ volatile("" : "+v"(v)); }

// P panels with Q queries. Every step asks for what will be wanted soon, `stride` bytes further each time: a burst
// would stall. What the next panels need goes to the second cache, what this one needs to the first.
template <size_t P, int Q>
__attribute__((noinline)) size_t Tile(const uint8_t* data, size_t panel_bytes, size_t steps, const int32_t* codes,
                                      const int32_t* bias, const CodeRule* rules, uint32_t first_query,
                                      uint32_t first_row, const uint8_t* ahead, size_t stride, CodeHit* hits) {
  __m512i acc[P][Q];
#pragma GCC unroll 16
  for (size_t p = 0; p < P; ++p)
#pragma GCC unroll 16
    for (int j = 0; j < Q; ++j) acc[p][j] = _mm512_set1_epi32(bias[j]);
#pragma GCC unroll 1
  for (size_t s = 0; s < steps; ++s) {
    __m512i row[P];
#pragma GCC unroll 16
    for (size_t p = 0; p < P; ++p) row[p] = _mm512_loadu_si512(data + p * panel_bytes + s * 64);
    __builtin_prefetch(ahead, 0, P == 1 ? 3 : 2);
    ahead += stride;
#pragma GCC unroll 16
    for (int j = 0; j < Q; ++j) {
      const __m512i query = _mm512_set1_epi32(codes[s * Q + static_cast<size_t>(j)]);
#pragma GCC unroll 16
      for (size_t p = 0; p < P; ++p) {
        acc[p][j] = _mm512_dpbusd_epi32(acc[p][j], row[p], query);
        Pin(acc[p][j]);
      }
    }
  }
  alignas(64) int32_t dots[P][Q][kPanelRows];
#pragma GCC unroll 16
  for (size_t p = 0; p < P; ++p)
#pragma GCC unroll 16
    for (int j = 0; j < Q; ++j) _mm512_store_si512(dots[p][j], acc[p][j]);
  size_t found = 0;
#pragma GCC unroll 1
  for (size_t p = 0; p < P; ++p)
#pragma GCC unroll 1
    for (int j = 0; j < Q; ++j) {
      const auto& terms = *reinterpret_cast<const PanelTerms*>(data + p * panel_bytes + steps * 64);
      found += Keep(dots[p][j], terms, rules[j], first_query + static_cast<uint32_t>(j),
                    first_row + static_cast<uint32_t>(p * kPanelRows), hits + found);
    }
  return found;
}

using TileFunction = size_t (*)(const uint8_t*, size_t, size_t, const int32_t*, const int32_t*, const CodeRule*,
                                uint32_t, uint32_t, const uint8_t*, size_t, CodeHit*);

constexpr TileFunction kLoneTiles[kLoneTile] = {
    Tile<1, 1>, Tile<1, 2>,  Tile<1, 3>,  Tile<1, 4>,  Tile<1, 5>,  Tile<1, 6>,  Tile<1, 7>,  Tile<1, 8>,
    Tile<1, 9>, Tile<1, 10>, Tile<1, 11>, Tile<1, 12>, Tile<1, 13>, Tile<1, 14>, Tile<1, 15>, Tile<1, 16>};
constexpr TileFunction kTiles[kTile] = {Tile<2, 1>, Tile<2, 2>, Tile<2, 3>, Tile<2, 4>,  Tile<2, 5>,  Tile<2, 6>,
                                        Tile<2, 7>, Tile<2, 8>, Tile<2, 9>, Tile<2, 10>, Tile<2, 11>, Tile<2, 12>};

// A single group of queries waits for memory: it takes one panel at a time, so that rows are one stream.
size_t Scan(const uint8_t* data, size_t panels, size_t steps, const CodeQueries& queries, const CodeRule* rules,
            CodeHit* hits) {
  constexpr size_t kAhead = 2048;
  const size_t bytes = PanelBytes(steps), groups = GroupCount(queries.count, kTile, kLoneTile);
  size_t found = 0;
  for (size_t p = 0; p < panels;) {
    const size_t taken = groups > 1 && panels - p >= 2 ? 2 : 1;
    const uint8_t* panel = data + p * bytes;
    size_t first = 0;
    for (size_t g = 0; g < groups; ++g) {
      const size_t size = GroupSize(queries.count, groups, g), share = taken * bytes / groups;
      const uint8_t* ahead = groups == 1 ? panel + kAhead : panel + taken * bytes + g * share;
      found += (taken == 2 ? kTiles : kLoneTiles)[size - 1](
          panel, bytes, steps, queries.codes + first * steps, queries.bias + first, rules + first,
          static_cast<uint32_t>(first), static_cast<uint32_t>(p * kPanelRows), ahead, taken * 64 / groups,
          hits + found);
      first += size;
    }
    p += taken;
  }
  return found;
}

}  // namespace

const CodeKernels kVnniCodes = {128, kTile, kLoneTile, 0, Rotate, Encode, EncodeQuery, Scan};

}  // namespace flatrank
