#include "kernels/kernels.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "core/cpu.h"
#include "core/error.h"

namespace flatrank {

const Kernels* KernelsNamed(const char* name) {
  if (std::strcmp(name, "scalar") == 0) return &kScalarKernels;
#if defined(__x86_64__) || defined(_M_X64)
  const Isa best = BestIsa();
  if (std::strcmp(name, "avx2") == 0 && best != Isa::kScalar) return &kAvx2Kernels;
  if (std::strcmp(name, "avx512") == 0 && best == Isa::kAvx512Vnni) return &kAvx512VnniKernels;
  if (std::strcmp(name, "avx512") == 0 && best == Isa::kAvx512) return &kAvx512Kernels;
#elif defined(__aarch64__)
  if (std::strcmp(name, "neon") == 0) return BestIsa() == Isa::kNeonDot ? &kNeonDotKernels : &kNeonKernels;
#endif
  return nullptr;
}

const Kernels& ActiveKernels() {
  static const Kernels* const active = [] {
    const char* forced = std::getenv("FLATRANK_ISA");
    if (forced != nullptr && *forced != '\0') {
      if (const Kernels* kernels = KernelsNamed(forced)) return kernels;
      throw Error(kUnsupported,
                  std::string("Expected FLATRANK_ISA to be one of 'scalar', 'avx2', 'avx512', 'neon' that "
                              "this processor can run but received \"") +
                      forced + "\"");
    }
    for (const char* name : {"avx512", "avx2", "neon"})
      if (const Kernels* kernels = KernelsNamed(name)) return kernels;
    return &kScalarKernels;
  }();
  return *active;
}

}  // namespace flatrank
