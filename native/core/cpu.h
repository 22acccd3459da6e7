// What this processor and this container allow.
#ifndef FLATRANK_CORE_CPU_H_
#define FLATRANK_CORE_CPU_H_

namespace flatrank {

enum class Isa { kScalar, kAvx2, kAvx512, kAvx512Vnni, kNeon, kNeonDot };

// The best instruction set that both the processor and the operating system (saved register state) support.
Isa BestIsa();

// Processors this process may use, at least 1: its affinity mask and its control groups' CPU quota together. A quota of
// 1.5 processors counts as 2.
int CpuLimit();

}  // namespace flatrank

#endif  // FLATRANK_CORE_CPU_H_
