// Runs the threads of a grid, each on its fiber, and makes them wait for one another.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_SCHEDULER_H_
#define FLATRANK_TEST_NATIVE_EMULATION_SCHEDULER_H_

#include <source_location>

#include "vector_types.h"

namespace flatrank::emulation::internal {

using Site = std::source_location;

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

}  // namespace flatrank::emulation::internal

#endif  // FLATRANK_TEST_NATIVE_EMULATION_SCHEDULER_H_
