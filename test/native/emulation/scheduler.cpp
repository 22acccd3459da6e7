#include "scheduler.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "emulation.h"
#include "fail.h"
#include "fibers.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace flatrank::emulation::internal {

namespace {

enum class State : unsigned char { kReady, kAtBlockBarrier, kAtWarpBarrier, kReturned };

// A CUDA thread on its fiber. Fibers are kept for later launches: between two they stand in FiberMain.
struct Thread : Context {
  uint3 index{};
  unsigned number = 0;
  State state = State::kReturned;
  // What it waits at.
  WarpCall call{};
  const Site* site = nullptr;
  unsigned mask = 0;
  void* argument = nullptr;
};

struct Warp {
  unsigned ready, waiting, returned;  // lanes; those that never were count as returned
};

std::mutex launch_mutex;  // guards all below, and the static __shared__ arrays
Context scheduler;
Thread* current = nullptr;  // the running one
unsigned block_size = 0;
// Never fewer than before, block_size of them in use. Never destroyed, so that nothing leaks.
std::vector<Thread*>& threads = *new std::vector<Thread*>;
std::vector<Warp> warps;
unsigned at_barrier = 0, returned = 0;
Votes votes{}, result{};
void (*body)(const void*) = nullptr;
const void* body_arguments = nullptr;
uint64_t random_state = 0;

uint64_t Random() {  // splitmix64
  uint64_t z = random_state += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

Warp& WarpOf(const Thread& thread) { return warps[thread.number / 32]; }
unsigned LaneBit(const Thread& thread) { return 1U << thread.number % 32; }

Thread& Running(const char* name) {
  if (current == nullptr) Fail("%s outside of a kernel", name);
  return *current;
}

void Wake(Thread& thread) {
  thread.state = State::kReady;
  WarpOf(thread).ready |= LaneBit(thread);
  WarpOf(thread).waiting &= ~LaneBit(thread);
}

bool SameSite(const Thread& a, const Thread& b) {
  return a.site->line() == b.site->line() && a.site->column() == b.site->column() &&
         std::strcmp(a.call.name, b.call.name) == 0;
}

void TryBlockBarrier() {
  if (at_barrier == 0 || at_barrier + returned < block_size) return;
  const Thread* first = nullptr;
  for (unsigned i = 0; i < block_size; ++i) {
    Thread& thread = *threads[i];
    if (thread.state == State::kReturned) continue;
    if (first == nullptr) first = &thread;
    if (!SameSite(thread, *first))
      Fail("thread %u waits at %s (%s:%u), but thread %u at %s (%s:%u)", first->number, first->call.name,
           first->site->file_name(), first->site->line(), i, thread.call.name, thread.site->file_name(),
           thread.site->line());
    Wake(thread);
  }
  result = votes;
  votes = {};
  at_barrier = 0;
}

// Whether what `thread` waits for with its warp has come; then it is done.
void TryWarpBarrier(const Thread& thread) {
  const Warp& warp = WarpOf(thread);
  const unsigned present = thread.mask & warp.waiting;
  if ((present | (thread.call.returned_count ? thread.mask & warp.returned : 0U)) != thread.mask) return;
  void* arguments[32] = {};
  const unsigned first = thread.number / 32 * 32;
  for (unsigned rest = present; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const Thread& other = *threads[first + lane];
    if (other.mask != thread.mask || other.call.complete != thread.call.complete || !SameSite(other, thread)) return;
    arguments[lane] = other.argument;
  }
  thread.call.complete(arguments, present);
  for (unsigned rest = present; rest != 0; rest &= rest - 1)
    Wake(*threads[first + static_cast<unsigned>(std::countr_zero(rest))]);
}

void Return(Thread& thread) {
  thread.state = State::kReturned;
  ++returned;
  Warp& warp = WarpOf(thread);
  warp.returned |= LaneBit(thread);
  TryBlockBarrier();
  for (unsigned rest = warp.waiting; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    if ((warp.waiting >> lane & 1) != 0) TryWarpBarrier(*threads[thread.number / 32 * 32 + lane]);
  }
}

[[noreturn]] void FiberMain() {
  Thread& self = *current;
  Arrive(self);
  for (;;) {
    body(body_arguments);
    Return(self);
    Switch(self, scheduler);
  }
}

Thread* NewThread() {
  auto* thread = new Thread;
  thread->number = static_cast<unsigned>(threads.size());
  MakeFiber(*thread, FiberMain);
  return thread;
}

// Nobody can go on.
[[noreturn]] void ReportDeadlock() {
  std::fflush(stdout);
  std::fprintf(stderr, "CUDA emulation: threads of block (%u, %u, %u) wait for ever:\n", blockIdx.x, blockIdx.y,
               blockIdx.z);
  std::vector<bool> told(block_size);
  for (unsigned i = 0; i < block_size; ++i) {
    const Thread& thread = *threads[i];
    if (told[i]) continue;
    unsigned count = 0;
    for (unsigned j = i; j < block_size; ++j) {
      const Thread& other = *threads[j];
      if (other.state != thread.state) continue;
      if (thread.state != State::kReturned && (!SameSite(thread, other) || thread.mask != other.mask)) continue;
      told[j] = true;
      ++count;
    }
    if (thread.state == State::kReturned) {
      std::fprintf(stderr, "  %u threads, the first of them %u, have returned\n", count, i);
    } else {
      std::fprintf(stderr, "  %u threads, the first of them %u, wait at %s (%s:%u)", count, i, thread.call.name,
                   thread.site->file_name(), thread.site->line());
      if (thread.state == State::kAtWarpBarrier) std::fprintf(stderr, " with the mask 0x%08x", thread.mask);
      std::fputc('\n', stderr);
    }
  }
  std::abort();
}

void RunBlock(unsigned how) {
  for (unsigned w = 0; w < warps.size(); ++w) {
    const unsigned lanes = min(block_size - w * 32, 32U);
    const unsigned all = lanes == 32 ? 0xffffffffU : (1U << lanes) - 1;
    warps[w] = {all, 0, ~all};
  }
  for (unsigned i = 0; i < block_size; ++i) {
    Thread& thread = *threads[i];
    thread.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
    thread.state = State::kReady;
  }
  at_barrier = returned = 0;
  votes = {};
  std::vector<Thread*> round;
  while (returned < block_size) {
    round.clear();
    for (unsigned w = 0; w < warps.size(); ++w) {
      for (unsigned rest = warps[w].ready; rest != 0; rest &= rest - 1)
        round.push_back(threads[w * 32 + static_cast<unsigned>(std::countr_zero(rest))]);
      warps[w].ready = 0;
    }
    if (round.empty()) ReportDeadlock();
    if (how == 1) std::reverse(round.begin(), round.end());
    if (how > 1)
      for (size_t i = round.size(); i > 1; --i) std::swap(round[i - 1], round[Random() % i]);
    for (Thread* thread : round) {
      current = thread;
      threadIdx = thread->index;
      Switch(scheduler, *thread);
    }
    current = nullptr;
  }
}

void Wait(Thread& self, State state, const WarpCall& call, const Site& site) {
  self.state = state;
  self.call = call;
  self.site = &site;
}

}  // namespace

void RunGrid(dim3 grid, dim3 block, void (*run)(const void*), const void* arguments) {
  thread_local bool launching = false;
  if (launching) Fail("a kernel launches a kernel");
  std::lock_guard<std::mutex> lock(launch_mutex);
  blockDim = block;
  gridDim = grid;
  body = run;
  body_arguments = arguments;
  block_size = block.x * block.y * block.z;
  while (threads.size() < block_size) threads.push_back(NewThread());
  warps.resize((block_size + 31) / 32);
  launching = true;
  const unsigned how = order;
  random_state = how;
  const size_t blocks = size_t{grid.x} * grid.y * grid.z;
  // A permutation of the blocks: i -> first + i * step.
  size_t first = 0, step = 1;
  if (how == 1) {
    first = step = blocks - 1;
  } else if (how > 1) {
    first = Random() % blocks;
    do step = Random() % blocks + 1;
    while (std::gcd(step, blocks) != 1);
  }
  size_t next = first;
  for (size_t i = 0; i < blocks; ++i) {
    blockIdx = {static_cast<unsigned>(next % grid.x), static_cast<unsigned>(next / grid.x % grid.y),
                static_cast<unsigned>(next / grid.x / grid.y)};
    RunBlock(how);
    next = (next + step) % blocks;
  }
  launching = false;
}

Votes BlockBarrier(const char* name, bool predicate, const Site& site) {
  Thread& self = Running(name);
  Wait(self, State::kAtBlockBarrier, {name, nullptr, true}, site);
  ++at_barrier;
  ++votes.all;
  if (predicate) ++votes.yes;
  TryBlockBarrier();
  Switch(self, scheduler);
  return result;
}

void WarpBarrier(const WarpCall& call, unsigned mask, void* argument, const Site& site) {
  Thread& self = Running(call.name);
  if ((mask & LaneBit(self)) == 0)
    Fail("%s (%s:%u): lane %u is not in its mask 0x%08x", call.name, site.file_name(), site.line(), Lane(), mask);
  Wait(self, State::kAtWarpBarrier, call, site);
  self.mask = mask;
  self.argument = argument;
  WarpOf(self).waiting |= LaneBit(self);
  TryWarpBarrier(self);
  Switch(self, scheduler);
}

unsigned Lane() { return Running("an operation of a warp").number % 32; }

}  // namespace flatrank::emulation::internal
