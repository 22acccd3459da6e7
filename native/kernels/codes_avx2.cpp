// AVX2 without VNNI. vpmaddubsw multiplies unsigned row bytes with signed query bytes and adds pairs in 16 bits, with
// saturation; widening every product to 32 bits would halve the speed. So sums stay in 16 bits for 8 steps: queries are
// encoded so that no pair saturates and no sum of 8 steps leaves 16 bits (FitSums), and the sums start from minus the
// contribution of the rows' offset, modulo 2^16, so that wrapping on the way does no harm.
#include <immintrin.h>

#include "kernels/codes.h"

namespace flatrank {

namespace {

#include "kernels/codes_common.inl"

struct CodeVec {
  using Type = __m256;
  static constexpr size_t kLanes = 8;

  static Type Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Type v) { _mm256_storeu_ps(p, v); }
  static Type Add(Type a, Type b) { return _mm256_add_ps(a, b); }
  static Type Sub(Type a, Type b) { return _mm256_sub_ps(a, b); }
  static Type MulAdd(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  template <size_t H>
  static Type Swap(Type v) {
    if constexpr (H == 1) return _mm256_permute_ps(v, 0xb1);
    if constexpr (H == 2) return _mm256_permute_ps(v, 0x4e);
    return _mm256_permute2f128_ps(v, v, 0x01);
  }
  template <size_t H>
  static Type Alternating() {
    if constexpr (H == 1) return _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
    if constexpr (H == 2) return _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    return _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);
  }
};

#include "kernels/codes_rotate.inl"

constexpr int kTile = 6;  // 6 queries x 16 rows: 12 accumulators, 2 rows, a query and a product in 16 registers
constexpr size_t kBiasSteps = 8;
constexpr size_t kPanelStep = kPanelRows * kStepValues;

// The factor by which a query must shrink for its codes to fit, 1 where they do.
//  - A pair: 255 (|a| + |b|) <= 32767 for a, b of one sign, hence |a + b| <= 128.
//  - A 16-bit lane over 8 steps: |sum of row * query| is at most 127 |query|_1 and at most |row|_2 |query|_2 over the
//    lane's 16 values, the largest |row|_2 of the rows being sqrt(lane_norm2). Its true value then fits, whatever the
//    rows, so that its value modulo 2^16 is the true one.
float FitSums(const int8_t* codes, size_t padded, double lane_norm2) {
  constexpr double kLargest = 32767;
  double shrink = 1;
  for (size_t i = 0; i < padded; i += 2) {
    const int a = codes[i], b = codes[i + 1], sum = a + b > 0 ? a + b : -(a + b);
    if (a * b > 0 && sum > 128 && 128.0 / sum < shrink) shrink = 128.0 / sum;
  }
  for (size_t i = 0; i < padded; i += kBiasSteps * kStepValues)
    for (size_t half = 0; half < kStepValues; half += 2) {
      int norm1 = 0, norm2 = 0;
      for (size_t s = 0; s < kBiasSteps; ++s)
        for (size_t j = 0; j < 2; ++j) {
          const int code = codes[i + s * kStepValues + half + j];
          norm1 += code > 0 ? code : -code;
          norm2 += code * code;
        }
      if (127.0 * norm1 <= kLargest || lane_norm2 * norm2 <= kLargest * kLargest) continue;
      const double by_norm1 = kLargest / (127.0 * norm1), by_norm2 = kLargest / __builtin_sqrt(lane_norm2 * norm2);
      const double fitting = by_norm1 > by_norm2 ? by_norm1 : by_norm2;
      if (fitting < shrink) shrink = fitting;
    }
  return static_cast<float>(shrink);
}

// The scale that leaves the least out: with coarse codes it differs from the one they were made with.
float BestScale(const float* x, size_t padded, const int8_t* codes) {
  double product = 0, norm2 = 0;
  for (size_t i = 0; i < padded; ++i) {
    product += static_cast<double>(x[i]) * codes[i];
    norm2 += static_cast<double>(codes[i] * codes[i]);
  }
  return norm2 == 0 ? 0.0f : static_cast<float>(product / norm2);
}

Encoded EncodeQuery(const float* x, size_t padded, double lane_norm2, int8_t* codes) {
  const float largest = LargestMagnitude(x, padded);
  float inverse = largest < kLeastMagnitude ? 0.0f : 127.0f / largest;
  for (;;) {
    Quantise(x, padded, inverse, codes);
    const float shrink = FitSums(codes, padded, lane_norm2);
    if (shrink == 1.0f) break;
    inverse *= shrink < 0.998f ? shrink : 0.998f;  // rounding may undo less than that for ever
  }
  return Measure(x, padded, BestScale(x, padded, codes), codes);
}

// acc += products in 16 bits, in place: left to itself the compiler moves and spills accumulators.
inline void Accumulate(__m256i& acc, __m256i products) { __asm__("vpaddw %1, %0, %0" : "+x"(acc) : "x"(products)); }

inline size_t Keep(const int32_t* dots, const PanelTerms& terms, const CodeRule& rule, uint32_t query,
                   uint32_t first_row, CodeHit* hits) {
  const __m256 dot_weight = _mm256_set1_ps(rule.dot_weight), norm_weight = _mm256_set1_ps(rule.norm_weight),
               residual_weight = _mm256_set1_ps(rule.residual_weight), threshold = _mm256_set1_ps(rule.threshold);
  uint32_t mask = 0;
#pragma GCC unroll 2
  for (size_t r = 0; r < kPanelRows; r += 8) {
    const __m256 dot = _mm256_cvtepi32_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(dots + r)));
    const __m256 scaled = _mm256_mul_ps(dot, _mm256_loadu_ps(terms.scale + r));
    __m256 bound = _mm256_fnmadd_ps(scaled, dot_weight, _mm256_loadu_ps(terms.offset + r));
    bound = _mm256_fnmadd_ps(_mm256_loadu_ps(terms.norm + r), norm_weight, bound);
    bound = _mm256_fnmadd_ps(_mm256_loadu_ps(terms.residual + r), residual_weight, bound);
    mask |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(bound, threshold, _CMP_NGT_UQ))) << r;
  }
  size_t found = 0;
  for (; mask != 0; mask &= mask - 1) {
    const uint32_t r = static_cast<uint32_t>(__builtin_ctz(mask));
    hits[found++] = {query, first_row + r, dots[r]};
  }
  return found;
}

// A panel with Q queries.
template <int Q, bool kStream>
__attribute__((noinline)) size_t Tile(const uint8_t* data, size_t steps, const int32_t* codes, const int32_t* bias,
                                      const CodeRule* rules, uint32_t first_query, uint32_t first_row,
                                      const uint8_t* ahead, size_t stride, CodeHit* hits) {
  const __m256i ones = _mm256_set1_epi16(1);
  alignas(32) int32_t dots[Q][kPanelRows] = {};
  for (size_t s = 0; s < steps; s += kBiasSteps, bias += Q) {
    __m256i acc[Q][2];
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j) acc[j][0] = acc[j][1] = _mm256_set1_epi32(bias[j]);
    // Sums are kept in memory: in registers they would push out accumulators.
    __asm__ volatile("" ::: "memory");
#pragma GCC unroll 1
    for (size_t i = 0; i < kBiasSteps; ++i, data += kPanelStep, codes += Q) {
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + 32));
#pragma GCC unroll 8
      for (int j = 0; j < Q; ++j) {
        const __m256i query = _mm256_set1_epi32(codes[j]);
        Accumulate(acc[j][0], _mm256_maddubs_epi16(low, query));
        Accumulate(acc[j][1], _mm256_maddubs_epi16(high, query));
      }
      if constexpr (kStream) {
        __builtin_prefetch(ahead);
        ahead += stride;
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        auto* sum = reinterpret_cast<__m256i*>(dots[j] + 8 * h);
        _mm256_store_si256(sum, _mm256_add_epi32(_mm256_load_si256(sum), _mm256_madd_epi16(acc[j][h], ones)));
      }
  }
  const auto& terms = *reinterpret_cast<const PanelTerms*>(data);
  size_t found = 0;
#pragma GCC unroll 8
  for (int j = 0; j < Q; ++j)
    found += Keep(dots[j], terms, rules[j], first_query + static_cast<uint32_t>(j), first_row, hits + found);
  return found;
}

using TileFunction = size_t (*)(const uint8_t*, size_t, const int32_t*, const int32_t*, const CodeRule*, uint32_t,
                                uint32_t, const uint8_t*, size_t, CodeHit*);

template <bool S>
constexpr TileFunction kTiles[kTile] = {Tile<1, S>, Tile<2, S>, Tile<3, S>, Tile<4, S>, Tile<5, S>, Tile<6, S>};

size_t Scan(const uint8_t* data, size_t panels, size_t steps, const CodeQueries& queries, const CodeRule* rules,
            CodeHit* hits) {
  constexpr size_t kLoneQueryAhead = 2048, kStreamGroups = 4;
  const size_t bytes = PanelBytes(steps), groups = GroupCount(queries.count, kTile, kTile), biases = steps / kBiasSteps;
  const bool stream = groups <= kStreamGroups;
  const size_t share = bytes / groups;
  size_t found = 0;
  for (size_t p = 0; p < panels; ++p, data += bytes) {
    const uint8_t* next = data + (queries.count == 1 ? kLoneQueryAhead : bytes);
    size_t first = 0;
    for (size_t g = 0; g < groups; ++g) {
      const size_t size = GroupSize(queries.count, groups, g);
      if (!stream)
        for (size_t at = g * share; at < (g + 1) * share; at += 64) __builtin_prefetch(next + at, 0, 2);
      found += (stream ? kTiles<true> : kTiles<false>)[size - 1](
          data, steps, queries.codes + first * steps, queries.bias + first * biases, rules + first,
          static_cast<uint32_t>(first), static_cast<uint32_t>(p * kPanelRows), next + g * share, 64 / groups,
          hits + found);
      first += size;
    }
  }
  return found;
}

}  // namespace

const CodeKernels kAvx2Codes = {128, kTile, kTile, kBiasSteps, Rotate, Encode, EncodeQuery, Scan};

}  // namespace flatrank
