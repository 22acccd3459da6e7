// CUDA's arithmetic and memory intrinsics, as plain C++.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_INTRINSICS_H_
#define FLATRANK_TEST_NATIVE_EMULATION_INTRINSICS_H_

#include <math.h>

#include <bit>
#include <cmath>
#include <type_traits>

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

#endif  // FLATRANK_TEST_NATIVE_EMULATION_INTRINSICS_H_
