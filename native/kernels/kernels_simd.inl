// The body that every SIMD table shares. The including file defines, in an anonymous namespace of flatrank,
//   struct Vec    fp32 vector operations: Type, kLanes, Zero, Load, LoadPartial, Sub, Fma, Sum, Pin, and for select
//                 Broadcast, Mul, NegatedFma, NotGreater (a bit a lane)
//   struct Wide   eight fp64 partial sums: Type, Zero, AddProducts, AddSquares, Store
//   kTileQueries  queries a register tile holds beside its kTileRows rows
// and then includes this file in the same namespace. Everything here has internal linkage and uses no std template, so
// that no code compiled for one instruction set can be linked into another's.

constexpr size_t kTileRows = 4;

// out[j * ld + r] for R rows and Q queries: R x Q accumulators stay in registers. Pinning keeps the compiler from
// loading a query once per product instead of once per step.
template <int R, int Q, bool kDifference>
inline void Tile(const float* x, const float* q, size_t d, float* out, size_t ld) {
  typename Vec::Type acc[R][Q];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j) acc[r][j] = Vec::Zero();
  const auto step = [&](auto load, size_t i) __attribute__((always_inline)) {
    typename Vec::Type query[Q];
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j) {
      query[j] = load(q + static_cast<size_t>(j) * d + i);
      Vec::Pin(query[j]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      typename Vec::Type row = load(x + static_cast<size_t>(r) * d + i);
      Vec::Pin(row);
#pragma GCC unroll 8
      for (int j = 0; j < Q; ++j) {
        if constexpr (kDifference) {
          const typename Vec::Type difference = Vec::Sub(row, query[j]);
          acc[r][j] = Vec::Fma(difference, difference, acc[r][j]);
        } else {
          acc[r][j] = Vec::Fma(row, query[j], acc[r][j]);
        }
      }
    }
  };
  size_t i = 0;
#pragma GCC unroll 1
  for (; i + Vec::kLanes <= d; i += Vec::kLanes) {
    // With few queries the scan waits for memory: ask for the next rows while these are used.
    if constexpr (Q <= 2 && R == kTileRows)
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) __builtin_prefetch(x + static_cast<size_t>(r + R) * d + i);
    step(
        [](const float* p) __attribute__((always_inline)) { return Vec::Load(p); }, i);
  }
  if (i < d)
    step(
        [left = d - i](const float* p) __attribute__((always_inline)) { return Vec::LoadPartial(p, left); }, i);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j) out[static_cast<size_t>(j) * ld + static_cast<size_t>(r)] = Vec::Sum(acc[r][j]);
}

template <int R, bool kDifference>
inline void Rows(const float* x, const float* q, size_t nq, size_t d, float* out, size_t ld) {
  size_t j = 0;
  for (; j + kTileQueries <= nq; j += kTileQueries)
    Tile<R, kTileQueries, kDifference>(x, q + j * d, d, out + j * ld, ld);
  for (; j + 2 <= nq; j += 2) Tile<R, 2, kDifference>(x, q + j * d, d, out + j * ld, ld);
  if (j < nq) Tile<R, 1, kDifference>(x, q + j * d, d, out + j * ld, ld);
}

template <bool kDifference>
void ScanTile(const float* x, size_t rows, const float* q, size_t nq, size_t d, float* out, size_t ld) {
  size_t r = 0;
  for (; r + kTileRows <= rows; r += kTileRows) Rows<kTileRows, kDifference>(x + r * d, q, nq, d, out + r, ld);
  for (; r < rows; ++r) Rows<1, kDifference>(x + r * d, q, nq, d, out + r, ld);
}

size_t Select(const float* key, const float* norm2, const float* norm, size_t rows, const SelectRule& rule,
              uint32_t* hits) {
  const auto key_weight = Vec::Broadcast(rule.key_weight), norm2_weight = Vec::Broadcast(rule.norm2_weight),
             norm_weight = Vec::Broadcast(rule.norm_weight), threshold = Vec::Broadcast(rule.threshold);
  size_t count = 0;
  for (size_t r = 0; r < rows; r += Vec::kLanes) {
    const size_t left = rows - r;
    const bool full = left >= Vec::kLanes;
    const auto load = [=](const float* p) { return full ? Vec::Load(p + r) : Vec::LoadPartial(p + r, left); };
    auto bound = Vec::Fma(norm2_weight, load(norm2), Vec::Mul(key_weight, load(key)));
    bound = Vec::NegatedFma(norm_weight, load(norm), bound);
    uint32_t mask = Vec::NotGreater(bound, threshold);
    if (!full) mask &= (1u << left) - 1u;
    while (mask != 0) {
      hits[count++] = static_cast<uint32_t>(r) + static_cast<uint32_t>(__builtin_ctz(mask));
      mask &= mask - 1;
    }
  }
  return count;
}

inline double CombineSums(const double* s) { return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])); }

double ExactDot(const float* x, const float* q, size_t d) {
  typename Wide::Type acc = Wide::Zero();
  size_t i = 0;
  for (; i + 8 <= d; i += 8) Wide::AddProducts(acc, x + i, q + i);
  alignas(64) double sums[8];
  Wide::Store(sums, acc);
  for (size_t lane = 0; i < d; ++i, ++lane) sums[lane] += static_cast<double>(x[i]) * static_cast<double>(q[i]);
  return CombineSums(sums);
}

double ExactL2(const float* x, const float* q, size_t d) {
  typename Wide::Type acc = Wide::Zero();
  size_t i = 0;
  for (; i + 8 <= d; i += 8) Wide::AddSquares(acc, x + i, q + i);
  alignas(64) double sums[8];
  Wide::Store(sums, acc);
  for (size_t lane = 0; i < d; ++i, ++lane) {
    const double difference = static_cast<double>(x[i]) - static_cast<double>(q[i]);
    sums[lane] += difference * difference;
  }
  return CombineSums(sums);
}

// A value is NaN or infinite where all bits of its exponent are set; the plain loops below become SIMD by themselves.
inline uint32_t NonFinite(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return (bits & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
}

size_t CountBits(const uint64_t* words, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) count += static_cast<size_t>(__builtin_popcountll(words[i]));
  return count;
}

size_t FirstNonFinite(const float* x, size_t n) {
  constexpr size_t kStride = 256;
  size_t i = 0;
  for (; i + kStride <= n; i += kStride) {
    uint32_t found = 0;
    for (size_t j = 0; j < kStride; ++j) found |= NonFinite(x[i + j]);
    if (found != 0) break;
  }
  for (; i < n; ++i)
    if (NonFinite(x[i]) != 0) return i;
  return n;
}

void Add(float* acc, const float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) acc[i] += x[i];
}

void Max(float* acc, const float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) acc[i] = acc[i] > x[i] ? acc[i] : x[i];
}

void Divide(float* acc, float divisor, size_t n) {
  for (size_t i = 0; i < n; ++i) acc[i] /= divisor;
}
