// CUDA's atomic operations and fences: one OS thread runs all fibers, so nothing has to be atomic.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_ATOMICS_H_
#define FLATRANK_TEST_NATIVE_EMULATION_ATOMICS_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "fail.h"
#include "intrinsics.h"

namespace flatrank::emulation::internal {

// Copied as bytes: CUDA code casts uint64_t* to unsigned long long*, which C++ takes for another type.
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

#endif  // FLATRANK_TEST_NATIVE_EMULATION_ATOMICS_H_
