#include "optimizer/dropout.h"

#include <algorithm>
#include <cmath>

#include "core/thread_pool.h"

namespace flatrank {

namespace {

constexpr size_t kPiece = size_t{1} << 18;
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

// The output function of SplitMix64 (Steele, Lea and Flood 2014), Stafford's variant 13.
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Four values of 16 bits a draw, the lowest first. Draws come in blocks so that the comparisons are one simple loop.
constexpr size_t kBlock = 64;

void FillPiece(uint64_t key, uint16_t threshold, uint8_t* mask, size_t begin, size_t end) {
  uint16_t values[4 * kBlock];
  for (size_t i = begin; i < end; i += 4 * kBlock) {
    for (size_t draw = 0; draw < kBlock; ++draw) {
      const uint64_t bits = Mix(key + (i / 4 + draw) * kGolden);
      for (size_t part = 0; part < 4; ++part) values[4 * draw + part] = static_cast<uint16_t>(bits >> (16 * part));
    }
    const size_t n = std::min(4 * kBlock, end - i);
    for (size_t k = 0; k < n; ++k) mask[i + k] = values[k] >= threshold ? 1 : 0;
  }
}

}  // namespace

uint64_t DropoutKey(uint64_t seed, uint64_t step, uint64_t site) {
  return Mix(Mix(Mix(seed + kGolden) ^ (step + kGolden)) ^ (site + kGolden));
}

void DropoutMask(uint64_t key, double probability, uint8_t* mask, size_t n, int max_threads) {
  const auto threshold = static_cast<uint16_t>(std::min(std::lround(probability * 65536), 65535l));
  const size_t pieces = (n + kPiece - 1) / kPiece;
  ThreadPool::Shared().ParallelFor(pieces, pieces < 2 ? 1 : max_threads, [&](size_t p, int) {
    FillPiece(key, threshold, mask, p * kPiece, std::min(n, (p + 1) * kPiece));
  });
}

}  // namespace flatrank
