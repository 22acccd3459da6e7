#include "threads.h"

#include <bit>

#include "fail.h"

namespace flatrank::emulation::internal {

namespace {

struct ShuffleLane {
  uint64_t bits;
  unsigned source;
  uint64_t got;
};

void CompleteShuffle(void* const* arguments, unsigned present) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((present >> lane & 1) == 0) continue;
    auto* mine = static_cast<ShuffleLane*>(arguments[lane]);
    if ((present >> mine->source & 1) == 0)
      Fail("lane %u shuffles from lane %u, which the mask 0x%08x does not name", lane, mine->source, present);
    mine->got = static_cast<const ShuffleLane*>(arguments[mine->source])->bits;
  }
}

struct BallotLane {
  bool predicate;
  unsigned yes;
};

void CompleteBallot(void* const* arguments, unsigned present) {
  unsigned yes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((present >> lane & 1) != 0 && static_cast<const BallotLane*>(arguments[lane])->predicate) yes |= 1U << lane;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((present >> lane & 1) != 0) static_cast<BallotLane*>(arguments[lane])->yes = yes;
}

}  // namespace

unsigned Ballot(const char* name, unsigned mask, bool predicate, const Site& site) {
  BallotLane lane{predicate, 0};
  WarpBarrier({name, CompleteBallot, false}, mask, &lane, site);
  return lane.yes;
}

uint64_t Shuffle(const char* name, unsigned mask, uint64_t bits, unsigned source, const Site& site) {
  ShuffleLane lane{bits, source, 0};
  WarpBarrier({name, CompleteShuffle, false}, mask, &lane, site);
  return lane.got;
}

unsigned ShuffleWidth(int width) {
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width)))
    Fail("a shuffle's width must be a power of two up to 32, but is %d", width);
  return static_cast<unsigned>(width);
}

}  // namespace flatrank::emulation::internal
