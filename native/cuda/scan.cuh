// Scans over a block's rows: each appends the rows that may be among the nearest to the lists of the queries, with
// bounds of their keys. The codes decide for nearly all rows; rows without codes get their keys at once.
#ifndef FLATRANK_CUDA_SCAN_CUH_
#define FLATRANK_CUDA_SCAN_CUH_

#include "cuda/candidates.cuh"
#include "cuda/exact.cuh"
#include "index/code_rule.h"

namespace flatrank::cuda {

// A bitmap of labels; all are wanted where `words` is null.
struct DeviceSelection {
  const uint64_t* words;
  size_t count;

  __device__ __forceinline__ bool Wants(size_t label) const {
    return words == nullptr || (label / 64 < count && ((words[label / 64] >> (label % 64)) & 1) != 0);
  }
};

// Rows [begin, end) of a block whose row 0 is labelled `first`, and the queries they meet.
struct ScanArguments {
  const int8_t* codes;    // (rows, padded), 16-byte aligned
  const RowTerms* terms;  // (rows), 16-byte aligned
  const float* values;    // (rows, dimension)
  size_t first, begin, end;
  uint32_t padded, dimension;
  Metric metric;

  const int8_t* query_codes;      // (nq, padded)
  const QueryTerms* query_terms;  // (nq)
  const CodeRule* rules;          // (nq) for ScanMany
  const float* queries;           // (nq, dimension)
  uint32_t nq;

  DeviceSelection selection;
  CandidateLists lists;
};

// What the threshold of the moment excludes.
__device__ __forceinline__ CodeRule RuleOf(const ScanArguments& a, uint32_t query) {
  if (a.lists.undecided[query] != 0) return {0, 0, 0, __uint_as_float(0xff800000u)};
  return RuleFor(a.query_terms[query], DotFactor(a.metric), a.lists.thresholds[query]);
}

__global__ void MakeRules(const __grid_constant__ ScanArguments a, CodeRule* rules) {
  const uint32_t query = blockIdx.x * blockDim.x + threadIdx.x;
  if (query < a.nq) rules[query] = RuleOf(a, query);
}

__device__ __forceinline__ bool Excludes(const CodeRule& rule, const RowTerms& row, int32_t dot) {
  return row.offset - rule.dot_weight * (row.scale * static_cast<float>(dot)) - rule.norm_weight * row.norm -
             rule.residual_weight * row.residual >
         rule.threshold;
}

__device__ __forceinline__ RowTerms LoadTerms(const RowTerms* at) {
  const float4 terms = __ldg(reinterpret_cast<const float4*>(at));
  return {terms.x, terms.y, terms.z, terms.w};
}

// A row that the rule did not exclude.
__device__ __noinline__ void Keep(const ScanArguments& a, uint32_t query, size_t row, RowTerms terms, int32_t dot) {
  const size_t label = a.first + row;
  if (!a.selection.Wants(label)) return;
  const Bounds bounds = BoundsFor(a.query_terms[query], terms, DotFactor(a.metric), dot);
  if (bounds.lower > a.lists.thresholds[query]) return;
  Append(a.lists, query, {bounds.lower, bounds.upper, static_cast<uint32_t>(label)});
}

inline constexpr uint32_t kRowLanes = 8;  // threads that go over a row together: 128 bytes at once
inline constexpr uint32_t kAhead = 4;     // of those loads are under way together
inline constexpr uint32_t kScanThreads = 256;

// For up to kQueries queries: what counts is how fast the codes come from memory. Each row is met once.
template <uint32_t kQueries>
__global__ void __launch_bounds__(kScanThreads) ScanFew(const __grid_constant__ ScanArguments a) {
  if (a.lists.Stopped()) return;
  __shared__ CodeRule rules[kQueries];
  if (threadIdx.x < a.nq) rules[threadIdx.x] = RuleOf(a, threadIdx.x);
  __syncthreads();
  const uint32_t lane = threadIdx.x % kRowLanes, chunks = a.padded / 16;
  const size_t stride = static_cast<size_t>(gridDim.x) * (kScanThreads / kRowLanes);
  const int4* const queries = reinterpret_cast<const int4*>(a.query_codes);
  // All threads of a warp stay together: those whose row is behind the end look at the last one again.
  for (size_t base = a.begin + static_cast<size_t>(blockIdx.x) * (kScanThreads / kRowLanes); base < a.end;
       base += stride) {
    const size_t wanted = base + threadIdx.x / kRowLanes, row = wanted < a.end ? wanted : a.end - 1;
    const int4* const codes = reinterpret_cast<const int4*>(a.codes) + row * chunks;
    const RowTerms terms = LoadTerms(a.terms + row);
    int32_t dots[kQueries] = {};
    for (uint32_t begin = 0; begin < chunks; begin += kAhead * kRowLanes) {
      int4 x[kAhead];
#pragma unroll
      for (uint32_t i = 0; i < kAhead; ++i) {
        const uint32_t c = begin + i * kRowLanes + lane;
        x[i] = c < chunks ? __ldcs(codes + c) : make_int4(0, 0, 0, 0);  // read once: queries should stay in the cache
      }
      __syncwarp();  // or else the compiler lets each load wait for what is done with the one before
#pragma unroll
      for (uint32_t i = 0; i < kAhead; ++i) {
        const uint32_t c = begin + i * kRowLanes + lane;
#pragma unroll
        for (uint32_t j = 0; j < kQueries; ++j) {
          const int4 q = __ldg(queries + static_cast<size_t>(j < a.nq ? j : 0) * chunks + (c < chunks ? c : 0));
          dots[j] = __dp4a(x[i].x, q.x, dots[j]);
          dots[j] = __dp4a(x[i].y, q.y, dots[j]);
          dots[j] = __dp4a(x[i].z, q.z, dots[j]);
          dots[j] = __dp4a(x[i].w, q.w, dots[j]);
        }
      }
    }
    int32_t mine = 0;  // lane j decides for query j
#pragma unroll
    for (uint32_t j = 0; j < kQueries; ++j) {
      int32_t dot = dots[j];
      for (uint32_t far = kRowLanes / 2; far > 0; far /= 2) dot += __shfl_xor_sync(0xffffffffu, dot, far);
      if (lane == j) mine = dot;
    }
    if (lane < a.nq && wanted < a.end && !Excludes(rules[lane], terms, mine)) Keep(a, lane, row, terms, mine);
  }
}

// Tensor cores multiply tiles of 16 queries and 16 rows. A block takes kTileQueries queries and kTileRows rows, each of
// its warps a part of 32 by 32 of them; kTileChunks times 16 values lie in shared memory at once, and the next are on
// their way.
inline constexpr uint32_t kTile = 16, kTileValues = kTile * kTile;
inline constexpr uint32_t kTileBytes = kTileValues + 32;  // so that what a warp writes at once lies in different banks
inline constexpr uint32_t kTileQueries = 64, kTileRows = 128, kTileChunks = 4;

__host__ __device__ constexpr uint32_t QueryBlocks(uint32_t nq) { return (nq + kTileQueries - 1) / kTileQueries; }
static_assert(kScanThreads / 32 == (kTileQueries / 32) * (kTileRows / 32));

// Copies chunk `c` of row r of x (rows of `chunks`), r = 0 .. kRows - 1 by whole blocks of threads, to tiles of 16 rows
// by 16 values, each in one piece.
template <uint32_t kRows>
struct TileLoader {
  static constexpr uint32_t kLoads = kRows * kTileChunks / kScanThreads;
  int4 held[kLoads];

  // Rows behind `last` are read as that one; chunks behind the end as zeros.
  __device__ __forceinline__ void Fetch(const int4* x, size_t first, size_t last, uint32_t chunks, uint32_t c) {
#pragma unroll
    for (uint32_t i = 0; i < kLoads; ++i) {
      const uint32_t at = threadIdx.x + i * kScanThreads, r = at / kTileChunks, chunk = c + at % kTileChunks;
      const size_t row = first + r < last ? first + r : last;
      held[i] = chunk < chunks ? __ldg(x + row * chunks + chunk) : make_int4(0, 0, 0, 0);
    }
  }
  __device__ __forceinline__ void Store(signed char* tiles) const {
#pragma unroll
    for (uint32_t i = 0; i < kLoads; ++i) {
      const uint32_t at = threadIdx.x + i * kScanThreads, r = at / kTileChunks, chunk = at % kTileChunks;
      signed char* const tile = tiles + ((r / kTile) * kTileChunks + chunk) * kTileBytes;
      *reinterpret_cast<int4*>(tile + (r % kTile) * kTile) = held[i];
    }
  }
};

__global__ void __launch_bounds__(kScanThreads) ScanMany(const __grid_constant__ ScanArguments a) {
  if (a.lists.Stopped()) return;
  using namespace nvcuda;
  using Queries = wmma::fragment<wmma::matrix_a, kTile, kTile, kTile, signed char, wmma::row_major>;
  using Rows = wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, signed char, wmma::col_major>;
  using Dots = wmma::fragment<wmma::accumulator, kTile, kTile, kTile, int>;
  __shared__ __align__(256) signed char query_tiles[2][kTileQueries / kTile * kTileChunks * kTileBytes];
  __shared__ __align__(256) signed char row_tiles[2][kTileRows / kTile * kTileChunks * kTileBytes];
  __shared__ CodeRule rules[kTileQueries];

  const uint32_t chunks = a.padded / 16, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // Blocks that run at the same time meet the same rows: these come from memory once.
  const uint32_t query_blocks = QueryBlocks(a.nq);
  const uint32_t first_query = blockIdx.x % query_blocks * kTileQueries;
  const size_t first_row = a.begin + static_cast<size_t>(blockIdx.x / query_blocks) * kTileRows;
  const uint32_t warp_query = warp % (kTileQueries / 32) * 32, warp_row = warp / (kTileQueries / 32) * 32;
  if (threadIdx.x < kTileQueries) {
    const uint32_t query = first_query + threadIdx.x;
    rules[threadIdx.x] = query < a.nq ? a.rules[query] : CodeRule{0, 0, 0, __uint_as_float(0xff800000u)};
  }

  Dots sums[2][2];
  for (auto& row : sums)
    for (auto& sum : row) wmma::fill_fragment(sum, 0);
  TileLoader<kTileQueries> queries;
  TileLoader<kTileRows> rows;
  const int4* const query_codes = reinterpret_cast<const int4*>(a.query_codes);
  const int4* const row_codes = reinterpret_cast<const int4*>(a.codes);
  queries.Fetch(query_codes, first_query, a.nq - 1, chunks, 0);
  rows.Fetch(row_codes, first_row, a.end - 1, chunks, 0);
  for (uint32_t c = 0, turn = 0; c < chunks; c += kTileChunks, turn ^= 1) {
    queries.Store(query_tiles[turn]);
    rows.Store(row_tiles[turn]);
    __syncthreads();  // the other half may be written again after it: everyone has passed its products
    if (c + kTileChunks < chunks) {
      queries.Fetch(query_codes, first_query, a.nq - 1, chunks, c + kTileChunks);
      rows.Fetch(row_codes, first_row, a.end - 1, chunks, c + kTileChunks);
    }
    for (uint32_t k = 0; k < kTileChunks; ++k) {
      Queries q[2];
      Rows x[2];
      for (uint32_t i = 0; i < 2; ++i) {
        wmma::load_matrix_sync(q[i], query_tiles[turn] + ((warp_query / kTile + i) * kTileChunks + k) * kTileBytes,
                               kTile);
        wmma::load_matrix_sync(x[i], row_tiles[turn] + ((warp_row / kTile + i) * kTileChunks + k) * kTileBytes, kTile);
      }
      for (uint32_t i = 0; i < 2; ++i)
        for (uint32_t j = 0; j < 2; ++j) wmma::mma_sync(sums[i][j], q[i], x[j], sums[i][j]);
    }
  }

  // A thread holds on to a row and goes over the queries: most products end here, with one comparison. They lie where
  // the tiles of rows were, for shared memory decides how many blocks a multiprocessor holds.
  static_assert(sizeof(row_tiles) >= kScanThreads / 32 * kTileValues * sizeof(int32_t));
  int32_t* const dots = reinterpret_cast<int32_t*>(row_tiles) + warp * kTileValues;
  __syncthreads();
  for (uint32_t j = 0; j < 2; ++j) {
    const size_t row = first_row + warp_row + j * kTile + lane % kTile;
    const RowTerms terms = LoadTerms(a.terms + (row < a.end ? row : a.end - 1));
    for (uint32_t i = 0; i < 2; ++i) {
      wmma::store_matrix_sync(dots, sums[i][j], kTile, wmma::mem_row_major);
      __syncwarp();
      for (uint32_t m = lane / kTile; m < kTile; m += 32 / kTile) {
        const uint32_t query = warp_query + i * kTile + m;
        const int32_t dot = dots[m * kTile + lane % kTile];
        if (!Excludes(rules[query], terms, dot) && row < a.end && first_query + query < a.nq)
          Keep(a, first_query + query, row, terms, dot);
      }
      __syncwarp();
    }
  }
}

// For rows that have no codes: their keys themselves. A warp takes four rows and goes over the queries.
__global__ void __launch_bounds__(kScanThreads) ScanPlain(const __grid_constant__ ScanArguments a) {
  if (a.lists.Stopped()) return;
  const uint32_t lane = threadIdx.x % kExactLanes;
  const size_t wanted = a.begin + (static_cast<size_t>(blockIdx.x) * kScanThreads + threadIdx.x) / kExactLanes;
  const size_t row = wanted < a.end ? wanted : a.end - 1;
  for (uint32_t query = blockIdx.y; query < a.nq; query += gridDim.y) {
    const double key = ExactKey(a.metric, a.values + row * a.dimension,
                                a.queries + static_cast<size_t>(query) * a.dimension, a.dimension, lane);
    const float lower = RoundDown(key);
    if (lane != 0 || wanted >= a.end || lower > a.lists.thresholds[query] || !a.selection.Wants(a.first + row))
      continue;
    Append(a.lists, query, {lower, RoundUp(key), static_cast<uint32_t>(a.first + row)});
  }
}

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_SCAN_CUH_
