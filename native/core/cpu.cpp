#include "core/cpu.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif
#if defined(__linux__)
#include <sched.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#endif

namespace flatrank {

namespace {

#if defined(__x86_64__) || defined(_M_X64)
// __builtin_cpu_supports answers "no" to everything in some toolchains, so cpuid and xgetbv are asked directly.
struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

Registers Cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r{};
#if defined(_MSC_VER)
  int values[4];
  __cpuidex(values, static_cast<int>(leaf), static_cast<int>(subleaf));
  r = {static_cast<uint32_t>(values[0]), static_cast<uint32_t>(values[1]), static_cast<uint32_t>(values[2]),
       static_cast<uint32_t>(values[3])};
#else
  if (static_cast<uint32_t>(__get_cpuid_max(0, nullptr)) < leaf) return r;
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
#endif
  return r;
}

uint64_t SavedState() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

bool Bit(uint32_t word, int bit) { return (word >> bit) & 1u; }
#endif

// Reads `path` whole; empty where it cannot be read.
std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Processors that one "quota period" pair grants; infinity where there is no limit or the text is not one.
double QuotaOf(const std::string& quota, const std::string& period) {
  try {
    const double q = std::stod(quota), p = std::stod(period);
    if (q > 0 && p > 0) return q / p;
  } catch (const std::exception&) {  // "max", "-1" or nothing
  }
  return std::numeric_limits<double>::infinity();
}

// The least quota of the process's control group and its ancestors, version 2 (cpu.max) and 1 (cpu.cfs_quota_us).
double CgroupQuota() {
  double limit = std::numeric_limits<double>::infinity();
  std::istringstream groups(ReadFile("/proc/self/cgroup"));
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",cpu,") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    std::string path = line.substr(second + 1);
    for (;;) {
      if (v2) {
        std::istringstream max(ReadFile(root + path + "/cpu.max"));
        std::string quota, period;
        max >> quota >> period;
        limit = std::min(limit, QuotaOf(quota, period));
      } else {
        limit = std::min(
            limit, QuotaOf(ReadFile(root + path + "/cpu.cfs_quota_us"), ReadFile(root + path + "/cpu.cfs_period_us")));
      }
      const size_t slash = path.rfind('/');
      if (slash == std::string::npos || path.empty()) break;
      path.resize(slash);
    }
  }
  return limit;
}

}  // namespace

Isa BestIsa() {
#if defined(__x86_64__) || defined(_M_X64)
  const Registers basic = Cpuid(1, 0), extended = Cpuid(7, 0);
  const bool os_saves = Bit(basic.ecx, 27);
  const uint64_t state = os_saves ? SavedState() : 0;
  const bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6;
  const bool avx2 = ymm && Bit(basic.ecx, 28) && Bit(basic.ecx, 12) && Bit(extended.ebx, 5);  // AVX, FMA, AVX2
  const bool avx512 = avx2 && zmm && Bit(extended.ebx, 16) && Bit(extended.ebx, 17) && Bit(extended.ebx, 30) &&
                      Bit(extended.ebx, 31);  // F, DQ, BW, VL
  if (avx512) return Bit(extended.ecx, 11) ? Isa::kAvx512Vnni : Isa::kAvx512;
  return avx2 ? Isa::kAvx2 : Isa::kScalar;
#elif defined(__aarch64__)
#if defined(__APPLE__)
  return Isa::kNeonDot;  // every Apple processor with 64 bits that runs macOS
#elif defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? Isa::kNeonDot : Isa::kNeon;
#else
  return Isa::kNeon;
#endif
#else
  return Isa::kScalar;
#endif
}

int CpuLimit() {
  int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
  const double quota = CgroupQuota();
  if (quota < count) count = static_cast<int>(std::ceil(quota));
#endif
  return std::max(count, 1);
}

}  // namespace flatrank
