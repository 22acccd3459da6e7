#include "core/aligned_array.h"

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace flatrank {

namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{1} << 21;

std::align_val_t AlignmentFor(size_t bytes) {
  return static_cast<std::align_val_t>(bytes >= 2 * kHugePage ? kHugePage : kCacheLine);
}

}  // namespace

void* AllocateAligned(size_t bytes) {
  void* memory = ::operator new(bytes, AlignmentFor(bytes));
#if defined(__linux__)
  if (bytes >= 2 * kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return memory;
}

void FreeAligned(void* memory, size_t bytes) { ::operator delete(memory, AlignmentFor(bytes)); }

}  // namespace flatrank
