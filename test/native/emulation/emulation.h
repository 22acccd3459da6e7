// CUDA's execution model on the CPU: kernels and host code written for CUDA compile as plain C++20 and run on machines
// without a GPU, for tests. cuda/platform.h includes this file where the compiler is not nvcc.
//
// Compile with -ffp-contract=off, as the rounding intrinsics name every single rounding, and -fno-strict-aliasing, as
// CUDA code reads memory through vector types; -Wno-unknown-pragmas, as GCC does not know "#pragma unroll".
//
// A launch runs its kernel to the end, block after block on the calling OS thread; every CUDA thread is a fiber that
// runs until it waits for others. It is stricter than a GPU: warps do not run in lockstep, so what a missing
// __syncwarp() leaves to luck shows, and threads that meet at a barrier must meet at the same line of the source. What
// can never go on aborts with a message saying who waits where.
//
// Not seen: races between threads that the order of resumption does not bring out (try several emulation::order), reads
// of __shared__ arrays never written (they hold what the last block left), accesses to host memory from kernels, and
// blocks that wait for other blocks, which hang.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_EMULATION_H_
#define FLATRANK_TEST_NATIVE_EMULATION_EMULATION_H_

#include <math.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__  // empty, as the standard library's headers say __attribute__((__noinline__))
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static  // blocks run one after another; alignas() stands before it, __align__() anywhere
#define __constant__ static
#define __align__(n) __attribute__((aligned(n)))

// ---- Knobs and counters for tests ----

namespace flatrank::emulation {

inline std::atomic<size_t> memory_limit{size_t{4} << 30};  // cudaMalloc fails beyond it
inline std::atomic<size_t> allocated{0};                   // bytes of device memory now
inline std::atomic<size_t> pinned{0};                      // bytes of pinned host memory now
inline std::atomic<size_t> launches{0};                    // kernels run
inline std::atomic<int> device_count{1};                   // 0: a machine without a GPU
// How the threads of a block are resumed, and the blocks of a grid run: 0 in ascending, 1 in descending order, else in
// a pseudo-random one with that seed, another every round.
inline std::atomic<unsigned> order{0};

}  // namespace flatrank::emulation

// ---- Vector types ----

// may_alias: they are read from, and written to, arrays of their elements' and other types.
#define FLATRANK_VECTOR2(name, type, alignment)                               \
  struct __attribute__((may_alias)) __align__(alignment) name { type x, y; }; \
  inline name make_##name(type x, type y) { return {x, y}; }
#define FLATRANK_VECTOR3(name, type)       \
  struct __attribute__((may_alias)) name { \
    type x, y, z;                          \
  };                                       \
  inline name make_##name(type x, type y, type z) { return {x, y, z}; }
#define FLATRANK_VECTOR4(name, type, alignment)                                     \
  struct __attribute__((may_alias)) __align__(alignment) name { type x, y, z, w; }; \
  inline name make_##name(type x, type y, type z, type w) { return {x, y, z, w}; }
FLATRANK_VECTOR4(char4, signed char, 4)
FLATRANK_VECTOR4(uchar4, unsigned char, 4)
FLATRANK_VECTOR2(int2, int, 8)
FLATRANK_VECTOR3(int3, int)
FLATRANK_VECTOR4(int4, int, 16)
FLATRANK_VECTOR2(uint2, unsigned, 8)
FLATRANK_VECTOR3(uint3, unsigned)
FLATRANK_VECTOR4(uint4, unsigned, 16)
FLATRANK_VECTOR2(float2, float, 8)
FLATRANK_VECTOR3(float3, float)
FLATRANK_VECTOR4(float4, float, 16)
FLATRANK_VECTOR2(double2, double, 16)
FLATRANK_VECTOR2(longlong2, long long, 16)
FLATRANK_VECTOR2(ulonglong2, unsigned long long, 16)
#undef FLATRANK_VECTOR2
#undef FLATRANK_VECTOR3
#undef FLATRANK_VECTOR4

struct dim3 {
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
  unsigned x, y, z;
};

// Set by the scheduler whenever it resumes a thread.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
inline constexpr int warpSize = 32;

// ---- The scheduler ----

namespace flatrank::emulation::internal {

using Site = std::source_location;

// Prints the message and aborts.
[[noreturn]] void Fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Runs run(arguments) in every thread of the grid.
void RunGrid(dim3 grid, dim3 block, void (*run)(const void* arguments), const void* arguments);

// Waits until every thread of the block that has not returned is here; how many of them gave a true predicate, and how
// many they are.
struct Votes {
  int yes, all;
};
Votes BlockBarrier(const char* name, bool predicate, const Site& site);

// What the threads of a warp do together. The last to come runs complete(arguments, present), where arguments[lane] is
// what that lane gave, before any of them goes on.
using Complete = void (*)(void* const* arguments, unsigned present);
struct WarpCall {
  const char* name;
  Complete complete;
  bool returned_count;  // threads that have returned from the kernel count as arrived
};
void WarpBarrier(const WarpCall& call, unsigned mask, void* argument, const Site& site);

// The place of the running thread in its warp.
unsigned Lane();

unsigned Ballot(const char* name, unsigned mask, bool predicate, const Site& site);
// The 64 bits that lane `source` of the warp gave.
uint64_t Shuffle(const char* name, unsigned mask, uint64_t bits, unsigned source, const Site& site);
unsigned ShuffleWidth(int width);  // checked

template <typename T>
T ShuffleValue(const char* name, unsigned mask, T value, unsigned source, const Site& site) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "shuffles move 4 or 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = Shuffle(name, mask, bits, source, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace flatrank::emulation::internal

#define FLATRANK_SITE const std::source_location& site = std::source_location::current()

inline void __syncthreads(FLATRANK_SITE) { flatrank::emulation::internal::BlockBarrier("__syncthreads", false, site); }
inline int __syncthreads_or(int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::BlockBarrier("__syncthreads_or", predicate != 0, site).yes != 0;
}
inline int __syncthreads_and(int predicate, FLATRANK_SITE) {
  const auto votes = flatrank::emulation::internal::BlockBarrier("__syncthreads_and", predicate != 0, site);
  return votes.yes == votes.all;
}
inline int __syncthreads_count(int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::BlockBarrier("__syncthreads_count", predicate != 0, site).yes;
}

inline void __syncwarp(unsigned mask = 0xffffffffU, FLATRANK_SITE) {
  flatrank::emulation::internal::WarpBarrier({"__syncwarp", [](void* const*, unsigned) {}, true}, mask, nullptr, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::Ballot("__ballot_sync", mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::Ballot("__any_sync", mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, FLATRANK_SITE) {
  return flatrank::emulation::internal::Ballot("__all_sync", mask, predicate != 0, site) == mask;
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned from = (emulated::Lane() & ~last) | (static_cast<unsigned>(source) & last);
  return emulated::ShuffleValue("__shfl_sync", mask, value, from, site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned lane = emulated::Lane(), step = delta & 31;
  return emulated::ShuffleValue("__shfl_up_sync", mask, value, (lane & last) < step ? lane : lane - step, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned lane = emulated::Lane(), step = delta & 31;
  return emulated::ShuffleValue("__shfl_down_sync", mask, value, (lane & last) + step > last ? lane : lane + step,
                                site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, FLATRANK_SITE) {
  namespace emulated = flatrank::emulation::internal;
  const unsigned last = emulated::ShuffleWidth(width) - 1;
  const unsigned lane = emulated::Lane(), other = lane ^ (static_cast<unsigned>(lane_mask) & 31);
  // Earlier groups of `width` lanes can be read, later ones not.
  return emulated::ShuffleValue("__shfl_xor_sync", mask, value, other > (lane | last) ? lane : other, site);
}

// ---- Intrinsics ----

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }

// CUDA's overloads: the same types, or signed with unsigned, which gives unsigned; floats as fmin and fmax do.
#define FLATRANK_MIN_MAX(type)                                 \
  constexpr type min(type a, type b) { return b < a ? b : a; } \
  constexpr type max(type a, type b) { return a < b ? b : a; }
#define FLATRANK_MIXED_MIN_MAX(type)                                                                     \
  FLATRANK_MIN_MAX(type)                                                                                 \
  FLATRANK_MIN_MAX(unsigned type)                                                                        \
  constexpr unsigned type min(type a, unsigned type b) { return min(static_cast<unsigned type>(a), b); } \
  constexpr unsigned type min(unsigned type a, type b) { return min(a, static_cast<unsigned type>(b)); } \
  constexpr unsigned type max(type a, unsigned type b) { return max(static_cast<unsigned type>(a), b); } \
  constexpr unsigned type max(unsigned type a, type b) { return max(a, static_cast<unsigned type>(b)); }
FLATRANK_MIXED_MIN_MAX(int)
FLATRANK_MIXED_MIN_MAX(long)
FLATRANK_MIXED_MIN_MAX(long long)
#undef FLATRANK_MIXED_MIN_MAX
#undef FLATRANK_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

inline int __dp4a(int a, int b, int c) {
  unsigned sum = static_cast<unsigned>(c);  // wraps
  for (int i = 0; i < 32; i += 8)
    sum += static_cast<unsigned>(static_cast<signed char>(static_cast<unsigned>(a) >> i) *
                                 static_cast<signed char>(static_cast<unsigned>(b) >> i));
  return static_cast<int>(sum);
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
  for (int i = 0; i < 32; i += 8) c += (a >> i & 255U) * (b >> i & 255U);
  return c;
}

// Loads and stores with a hint for the caches.
#define FLATRANK_LOAD(name)  \
  template <typename T>      \
  T name(const T* address) { \
    return *address;         \
  }
#define FLATRANK_STORE(name)                             \
  template <typename T>                                  \
  void name(T* address, std::type_identity_t<T> value) { \
    *address = value;                                    \
  }
FLATRANK_LOAD(__ldg)
FLATRANK_LOAD(__ldca)
FLATRANK_LOAD(__ldcg)
FLATRANK_LOAD(__ldcs)
FLATRANK_STORE(__stcg)
FLATRANK_STORE(__stcs)
FLATRANK_STORE(__stwb)
#undef FLATRANK_LOAD
#undef FLATRANK_STORE

inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return std::sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline float __double2float_rd(double x) {
  const float nearest = static_cast<float>(x);
  return static_cast<double>(nearest) > x ? std::nextafter(nearest, -HUGE_VALF) : nearest;
}
inline float __double2float_ru(double x) {
  const float nearest = static_cast<float>(x);
  return static_cast<double>(nearest) < x ? std::nextafter(nearest, HUGE_VALF) : nearest;
}
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline double __int2double_rn(int x) { return static_cast<double>(x); }

// ---- Atomics ----

namespace flatrank::emulation::internal {

// One OS thread runs all fibers, so nothing has to be atomic. Copied as bytes: CUDA code casts uint64_t* to unsigned
// long long*, which C++ takes for another type.
template <typename T, typename Function>
T Exchange(T* address, Function function) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(T) != 0) Fail("atomic at a misaligned address");
  T old;
  std::memcpy(&old, address, sizeof(T));
  const T value = function(old);
  std::memcpy(address, &value, sizeof(T));
  return old;
}

// Integers wrap.
template <typename T>
T Add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
  } else {
    return a + b;
  }
}

}  // namespace flatrank::emulation::internal

#define FLATRANK_ATOMIC(name, type, result)                                                        \
  inline type name(type* address, type value) {                                                    \
    return flatrank::emulation::internal::Exchange(address, [value](type old) { return result; }); \
  }
#define FLATRANK_INTEGER_ATOMICS(type)              \
  FLATRANK_ATOMIC(atomicMin, type, min(old, value)) \
  FLATRANK_ATOMIC(atomicMax, type, max(old, value)) \
  FLATRANK_ATOMIC(atomicAnd, type, old& value)      \
  FLATRANK_ATOMIC(atomicOr, type, old | value)      \
  FLATRANK_ATOMIC(atomicXor, type, old ^ value)
#define FLATRANK_WORD_ATOMICS(type)                                                    \
  FLATRANK_INTEGER_ATOMICS(type)                                                       \
  FLATRANK_ATOMIC(atomicAdd, type, flatrank::emulation::internal::Add(old, value))     \
  FLATRANK_ATOMIC(atomicExch, type, (static_cast<void>(old), value))                   \
  inline type atomicCAS(type* address, type compare, type value) {                     \
    return flatrank::emulation::internal::Exchange(                                    \
        address, [compare, value](type old) { return old == compare ? value : old; }); \
  }
FLATRANK_WORD_ATOMICS(int)
FLATRANK_WORD_ATOMICS(unsigned)
FLATRANK_WORD_ATOMICS(unsigned long long)
FLATRANK_INTEGER_ATOMICS(long long)
FLATRANK_ATOMIC(atomicAdd, float, old + value)
FLATRANK_ATOMIC(atomicAdd, double, old + value)
FLATRANK_ATOMIC(atomicExch, float, (static_cast<void>(old), value))
inline int atomicSub(int* address, int value) {
  return flatrank::emulation::internal::Exchange(address, [value](int old) {
    return static_cast<int>(static_cast<unsigned>(old) - static_cast<unsigned>(value));
  });
}
FLATRANK_ATOMIC(atomicSub, unsigned, old - value)
#undef FLATRANK_WORD_ATOMICS
#undef FLATRANK_INTEGER_ATOMICS
#undef FLATRANK_ATOMIC

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
[[noreturn]] inline void __trap() { flatrank::emulation::internal::Fail("__trap"); }

// ---- Tensor cores: 8-bit integers ----

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

// As on a GPU every lane holds its part of the tile; which part is nobody's business, and not the GPU's here.
template <typename Use, int M, int N, int K, typename T, typename Layout = void>
class fragment {
  static_assert((M == 16 && N == 16 && K == 16) || (M == 32 && N == 8 && K == 16) || (M == 8 && N == 32 && K == 16));
  static constexpr bool kAccumulator = std::is_same_v<Use, accumulator>;
  static_assert(kAccumulator
                    ? std::is_same_v<T, int> && std::is_void_v<Layout>
                    : (std::is_same_v<T, signed char> || std::is_same_v<T, unsigned char>)&&!std::is_void_v<Layout>);

 public:
  static constexpr int kRows = std::is_same_v<Use, matrix_b> ? K : M;
  static constexpr int kColumns = std::is_same_v<Use, matrix_a> ? K : N;
  static constexpr int num_elements = kRows * kColumns / 32;
  using element_type = T;

  fragment() { std::memset(x, 0xA5, sizeof(x)); }

  // Where in the tile the running lane's element i is.
  static constexpr unsigned Row(int i, unsigned lane) { return (static_cast<unsigned>(i) * 32 + lane) / kColumns; }
  static constexpr unsigned Column(int i, unsigned lane) { return (static_cast<unsigned>(i) * 32 + lane) % kColumns; }

  T x[num_elements];
  // What must be the same in all lanes: where it was loaded from.
  const void* source = nullptr;
  unsigned stride = 0;
  bool filled = false;
};

namespace internal {

template <typename T>
void CheckTile(const T* address, unsigned stride, const char* name) {
  if (reinterpret_cast<uintptr_t>(address) % 32 != 0)
    flatrank::emulation::internal::Fail("%s: the address must be aligned to 32 bytes", name);
  if (stride % (16 / sizeof(T)) != 0)
    flatrank::emulation::internal::Fail("%s: the stride must be a multiple of 16 bytes", name);
}

// Every lane loads and stores its part when it gets there: that others have written theirs takes a __syncwarp().
template <typename Fragment, typename T>
void Load(Fragment& to, const T* address, unsigned stride, bool rows) {
  CheckTile(address, stride, "load_matrix_sync");
  const unsigned lane = flatrank::emulation::internal::Lane();
  for (int i = 0; i < Fragment::num_elements; ++i) {
    const size_t row = Fragment::Row(i, lane), column = Fragment::Column(i, lane);
    to.x[i] = rows ? address[row * stride + column] : address[column * stride + row];
  }
  to.source = address;
  to.stride = stride;
  to.filled = true;
}

template <typename D, typename A, typename B, typename C>
struct Operands {
  D* d;
  const A* a;
  const B* b;
  const C* c;
  bool saturate;
};

template <typename Fragment>
void CheckSame(const Fragment& fragment, const Fragment& first) {
  if (!fragment.filled) flatrank::emulation::internal::Fail("mma_sync: a fragment was never loaded or filled");
  if (fragment.source != first.source || fragment.stride != first.stride)
    flatrank::emulation::internal::Fail("mma_sync: the lanes of a warp loaded a fragment from different places");
}

template <typename D, typename A, typename B, typename C>
void Multiply(void* const* arguments, unsigned) {
  const auto operands = [&](unsigned lane) { return static_cast<Operands<D, A, B, C>*>(arguments[lane]); };
  int a[A::kRows][A::kColumns], b[B::kRows][B::kColumns];
  const auto* first = operands(0);
  for (unsigned lane = 0; lane < 32; ++lane) {
    const auto* mine = operands(lane);
    CheckSame(*mine->a, *first->a);
    CheckSame(*mine->b, *first->b);
    CheckSame(*mine->c, *first->c);
    for (int i = 0; i < A::num_elements; ++i) a[A::Row(i, lane)][A::Column(i, lane)] = mine->a->x[i];
    for (int i = 0; i < B::num_elements; ++i) b[B::Row(i, lane)][B::Column(i, lane)] = mine->b->x[i];
  }
  int product[D::kRows][D::kColumns] = {};  // of 16 products of bytes, which do not overflow
  for (int row = 0; row < D::kRows; ++row)
    for (int k = 0; k < A::kColumns; ++k)
      for (int column = 0; column < D::kColumns; ++column) product[row][column] += a[row][k] * b[k][column];
  for (unsigned lane = 0; lane < 32; ++lane) {
    auto* mine = operands(lane);
    for (int i = 0; i < D::num_elements; ++i) {
      int64_t sum = int64_t{mine->c->x[i]} + product[D::Row(i, lane)][D::Column(i, lane)];
      if (mine->saturate) sum = min(max(sum, int64_t{INT32_MIN}), int64_t{INT32_MAX});
      mine->d->x[i] = static_cast<int>(sum);
    }
    mine->d->source = nullptr;
    mine->d->stride = 0;
    mine->d->filled = true;
  }
}

}  // namespace internal

template <typename Use, int M, int N, int K, typename T, typename Layout>
void fill_fragment(fragment<Use, M, N, K, T, Layout>& to, const std::type_identity_t<T>& value) {
  for (T& element : to.x) element = value;
  to.source = nullptr;
  to.stride = 0;
  to.filled = true;
}

template <typename Use, int M, int N, int K, typename T, typename Layout>
void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& to, const T* address, unsigned stride) {
  static_assert(!std::is_void_v<Layout>, "loading an accumulator takes a layout");
  internal::Load(to, address, stride, std::is_same_v<Layout, row_major>);
}
template <int M, int N, int K>
void load_matrix_sync(fragment<accumulator, M, N, K, int>& to, const int* address, unsigned stride, layout_t layout) {
  internal::Load(to, address, stride, layout == mem_row_major);
}

template <int M, int N, int K>
void store_matrix_sync(int* address, const fragment<accumulator, M, N, K, int>& from, unsigned stride,
                       layout_t layout) {
  using Fragment = fragment<accumulator, M, N, K, int>;
  internal::CheckTile(address, stride, "store_matrix_sync");
  if (!from.filled) flatrank::emulation::internal::Fail("store_matrix_sync: the fragment was never loaded or filled");
  const unsigned lane = flatrank::emulation::internal::Lane();
  for (int i = 0; i < Fragment::num_elements; ++i) {
    const size_t row = Fragment::Row(i, lane), column = Fragment::Column(i, lane);
    address[layout == mem_row_major ? row * stride + column : column * stride + row] = from.x[i];
  }
}

template <int M, int N, int K, typename T, typename LayoutA, typename LayoutB>
void mma_sync(fragment<accumulator, M, N, K, int>& d, const fragment<matrix_a, M, N, K, T, LayoutA>& a,
              const fragment<matrix_b, M, N, K, T, LayoutB>& b, const fragment<accumulator, M, N, K, int>& c,
              bool saturate = false, FLATRANK_SITE) {
  using A = fragment<matrix_a, M, N, K, T, LayoutA>;
  using B = fragment<matrix_b, M, N, K, T, LayoutB>;
  using C = fragment<accumulator, M, N, K, int>;
  internal::Operands<C, A, B, C> operands{&d, &a, &b, &c, saturate};
  flatrank::emulation::internal::WarpBarrier({"mma_sync", internal::Multiply<C, A, B, C>, false}, 0xffffffffU,
                                             &operands, site);
}

}  // namespace nvcuda::wmma

#undef FLATRANK_SITE

// ---- The runtime's host functions ----

enum cudaError {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInitializationError = 3,
  cudaErrorCudartUnloading = 4,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidPitchValue = 12,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
  cudaErrorNotSupported = 801,
  cudaErrorUnknown = 999
};
using cudaError_t = cudaError;

enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4
};

enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMaxBlockDimX = 2,
  cudaDevAttrMaxGridDimX = 5,
  cudaDevAttrMaxGridDimY = 6,
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrWarpSize = 10,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrIntegrated = 18,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrPageableMemoryAccess = 88,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
  cudaDevAttrMemoryPoolsSupported = 115
};

enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  size_t sharedMemPerBlock;
  int warpSize;
  int maxThreadsPerBlock;
  int major;
  int minor;
  int multiProcessorCount;
  int integrated;
  int l2CacheSize;
  int maxThreadsPerMultiProcessor;
  size_t sharedMemPerMultiprocessor;
};

struct CUstream_st;
struct CUevent_st;
struct CUmemPoolHandle_st;
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
using cudaMemPool_t = CUmemPoolHandle_st*;

inline constexpr unsigned cudaStreamDefault = 0;
inline constexpr unsigned cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDefault = 0;
inline constexpr unsigned cudaEventBlockingSync = 1;
inline constexpr unsigned cudaEventDisableTiming = 2;
inline constexpr unsigned cudaHostAllocDefault = 0;
inline constexpr unsigned cudaHostAllocPortable = 1;
inline constexpr unsigned cudaHostAllocMapped = 2;
inline constexpr unsigned cudaHostAllocWriteCombined = 4;

const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);

// All work is done when a call returns, so streams and events only have to be alive when used.
cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaEventDestroy(cudaEvent_t event);

// Memory is poisoned with 0xA5. Copies fail with cudaErrorInvalidValue where a side is not the kind of memory that the
// direction says, or ends before the copy does.
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t stream);
cudaError_t cudaFree(void* memory);
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream);
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags);
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr);
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void* memory, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream = nullptr);
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value);
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t bytes);

template <typename T>
cudaError_t cudaMalloc(T** memory, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(memory), bytes);
}
template <typename T>
cudaError_t cudaMallocAsync(T** memory, size_t bytes, cudaStream_t stream) {
  return cudaMallocAsync(reinterpret_cast<void**>(memory), bytes, stream);
}
template <typename T>
cudaError_t cudaHostAlloc(T** memory, size_t bytes, unsigned flags) {
  return cudaHostAlloc(reinterpret_cast<void**>(memory), bytes, flags);
}
template <typename T>
cudaError_t cudaMallocHost(T** memory, size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void**>(memory), bytes);
}
template <typename T>
cudaError_t cudaMemcpyToSymbol(const T& symbol, const void* from, size_t bytes, size_t offset = 0,
                               cudaMemcpyKind = cudaMemcpyHostToDevice) {
  if (offset > sizeof(T) || bytes > sizeof(T) - offset) return cudaErrorInvalidValue;
  std::memcpy(const_cast<char*>(reinterpret_cast<const char*>(&symbol)) + offset, from, bytes);
  return cudaSuccess;
}
template <typename... P>
cudaError_t cudaFuncSetAttribute(void (*)(P...), cudaFuncAttribute, int) {
  return cudaSuccess;
}
template <typename... P>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void (*)(P...), int, size_t) {
  *blocks = 2;
  return cudaSuccess;
}

namespace flatrank::cuda {

// kernel<<<grid, block, 0, stream>>>(arguments...). What is wrong with the launch is for cudaGetLastError().
template <typename... P, typename... A>
void Launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t, A&&... arguments) {
  struct Call {
    void (*kernel)(P...);
    std::tuple<P...> parameters;
  };
  const Call call{kernel, std::tuple<P...>{std::forward<A>(arguments)...}};
  emulation::internal::RunGrid(
      grid, block,
      [](const void* data) {
        const Call& that = *static_cast<const Call*>(data);
        std::apply(that.kernel, that.parameters);
      },
      &call);
}

}  // namespace flatrank::cuda

#endif  // FLATRANK_TEST_NATIVE_EMULATION_EMULATION_H_
