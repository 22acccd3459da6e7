#include "emulation.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif
#if !defined(FLATRANK_EMULATION_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define FLATRANK_EMULATION_UCONTEXT
#endif
#ifdef FLATRANK_EMULATION_UCONTEXT
#include <ucontext.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace flatrank::emulation::internal {

void Fail(const char* format, ...) {
  std::fflush(stdout);
  std::fputs("CUDA emulation: ", stderr);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

namespace {

// ---- Switching of stacks ----

// A stack of execution: the OS thread's own, which schedules, or a fiber's.
struct Context {
#ifdef FLATRANK_EMULATION_UCONTEXT
  ucontext_t saved;
#else
  void* stack_pointer = nullptr;  // the callee-saved registers lie there
#endif
  // For the sanitizers.
  const void* bottom = nullptr;
  size_t size = 0;
  void* fake_stack = nullptr;
  void* tsan_fiber = nullptr;
};

Context* previous = nullptr;  // the context that was left last

#ifndef FLATRANK_EMULATION_UCONTEXT
// Saves the callee-saved registers on the stack, and goes on where `to` was saved. No system call, as swapcontext
// makes.
extern "C" void FlatrankEmulationSwitch(void** save, void* to) __asm__("flatrank_emulation_switch");
#ifdef __x86_64__
constexpr size_t kSavedRegisters = 6;
__asm__(
    ".text\n"
    ".p2align 4\n"
    "flatrank_emulation_switch:\n"
    "  pushq %rbp\n"
    "  pushq %rbx\n"
    "  pushq %r12\n"
    "  pushq %r13\n"
    "  pushq %r14\n"
    "  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n"
    "  popq %r14\n"
    "  popq %r13\n"
    "  popq %r12\n"
    "  popq %rbx\n"
    "  popq %rbp\n"
    "  ret\n");
#else
constexpr size_t kSavedRegisters = 20;
constexpr size_t kLinkRegister = 11;
__asm__(
    ".text\n"
    ".p2align 4\n"
    "flatrank_emulation_switch:\n"
    "  sub sp, sp, #160\n"
    "  stp x19, x20, [sp, #0]\n"
    "  stp x21, x22, [sp, #16]\n"
    "  stp x23, x24, [sp, #32]\n"
    "  stp x25, x26, [sp, #48]\n"
    "  stp x27, x28, [sp, #64]\n"
    "  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n"
    "  stp d10, d11, [sp, #112]\n"
    "  stp d12, d13, [sp, #128]\n"
    "  stp d14, d15, [sp, #144]\n"
    "  mov x9, sp\n"
    "  str x9, [x0]\n"
    "  mov sp, x1\n"
    "  ldp x19, x20, [sp, #0]\n"
    "  ldp x21, x22, [sp, #16]\n"
    "  ldp x23, x24, [sp, #32]\n"
    "  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n"
    "  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n"
    "  ldp d10, d11, [sp, #112]\n"
    "  ldp d12, d13, [sp, #128]\n"
    "  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #160\n"
    "  ret\n");
#endif
#endif

// Called first thing on a context.
void Arrive([[maybe_unused]] Context& here) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(here.fake_stack, &previous->bottom, &previous->size);
#endif
}

void Switch(Context& from, Context& to) {
  previous = &from;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
#ifdef FLATRANK_EMULATION_UCONTEXT
  swapcontext(&from.saved, &to.saved);
#else
  FlatrankEmulationSwitch(&from.stack_pointer, to.stack_pointer);
#endif
  Arrive(from);
}

// ---- The running block ----

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
  constexpr size_t kStack = size_t{256} << 10;  // only what is touched is memory
  auto thread = std::make_unique<Thread>();
  const auto guard = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, guard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) Fail("no memory for a stack");
  char* bottom = static_cast<char*>(memory) + guard;
  // Stacks begin at different places of a page, lest all of them share the same lines of the cache.
  const size_t size = kStack - threads.size() % 32 * 128;
  thread->bottom = bottom;
  thread->size = size;
#ifdef FLATRANK_EMULATION_UCONTEXT
  getcontext(&thread->saved);
  thread->saved.uc_stack.ss_sp = bottom;
  thread->saved.uc_stack.ss_size = size;
  thread->saved.uc_link = nullptr;
  makecontext(&thread->saved, FiberMain, 0);
#else
  // As if FiberMain had called the switch in its first instruction.
  auto* top = reinterpret_cast<uintptr_t*>(bottom + size);
  const auto entry = reinterpret_cast<uintptr_t>(&FiberMain);
#ifdef __x86_64__
  *--top = 0;  // FiberMain's return address: the stack's end for debuggers
  *--top = entry;
  top -= kSavedRegisters;
#else
  top -= kSavedRegisters;
  top[kLinkRegister] = entry;
#endif
  thread->stack_pointer = top;
#endif
#ifdef __SANITIZE_THREAD__
  thread->tsan_fiber = __tsan_create_fiber(0);
#endif
  return thread.release();
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

// ---- The runtime's host functions ----

struct CUstream_st {
  unsigned flags;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point time;
};

namespace {

namespace emulation = flatrank::emulation;

thread_local cudaError_t last_error = cudaSuccess;
thread_local int chosen_device = 0;

std::mutex memory_mutex;  // guards the two maps
using Allocations = std::map<uintptr_t, size_t>;
Allocations& DeviceMemory() {
  static auto* const allocations = new Allocations;
  return *allocations;
}
Allocations& PinnedMemory() {
  static auto* const allocations = new Allocations;
  return *allocations;
}

cudaError_t Result(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// cudaSuccess where there is a device, and it is this one.
cudaError_t CheckDevice(int device = 0) {
  if (emulation::device_count <= 0) return cudaErrorNoDevice;
  return device >= 0 && device < emulation::device_count ? cudaSuccess : cudaErrorInvalidDevice;
}

// Touched, so that AddressSanitizer sees the use of one destroyed.
void Touch(cudaStream_t stream) {
  if (stream != nullptr) static_cast<void>(*const_cast<const volatile unsigned*>(&stream->flags));
}
void Touch(cudaEvent_t event) { static_cast<void>(*reinterpret_cast<const volatile char*>(event)); }

cudaError_t Allocate(void** memory, size_t bytes, Allocations& allocations, std::atomic<size_t>& total, size_t limit) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  if (memory == nullptr) return Result(cudaErrorInvalidValue);
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  std::lock_guard<std::mutex> lock(memory_mutex);
  if (total > limit || bytes > limit - total) return Result(cudaErrorMemoryAllocation);
  void* block = nullptr;
  if (posix_memalign(&block, 256, bytes) != 0) return Result(cudaErrorMemoryAllocation);
  std::memset(block, 0xA5, bytes);
  allocations[reinterpret_cast<uintptr_t>(block)] = bytes;
  total += bytes;
  *memory = block;
  return cudaSuccess;
}

cudaError_t Free(void* memory, Allocations& allocations, std::atomic<size_t>& total) {
  if (memory == nullptr) return cudaSuccess;
  std::lock_guard<std::mutex> lock(memory_mutex);
  const auto found = allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == allocations.end()) return Result(cudaErrorInvalidValue);
  total -= found->second;
  allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

enum class Place { kHost, kDevice, kOverrun };

// Where the bytes are; kOverrun if they begin in device memory and do not end in it.
Place PlaceOf(const void* memory, size_t bytes) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  const Allocations& allocations = DeviceMemory();
  const auto address = reinterpret_cast<uintptr_t>(memory);
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return Place::kHost;
  const auto& [begin, size] = *--after;
  if (address - begin >= size) return Place::kHost;
  return bytes <= size - (address - begin) ? Place::kDevice : Place::kOverrun;
}

cudaError_t CheckCopy(const void* to, size_t to_bytes, const void* from, size_t from_bytes, cudaMemcpyKind kind) {
  const Place to_place = PlaceOf(to, to_bytes), from_place = PlaceOf(from, from_bytes);
  if (to_place == Place::kOverrun || from_place == Place::kOverrun) return cudaErrorInvalidValue;
  if (kind == cudaMemcpyDefault) return cudaSuccess;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return (to_place == Place::kDevice) == to_device && (from_place == Place::kDevice) == from_device
             ? cudaSuccess
             : cudaErrorInvalidValue;
}

}  // namespace

void flatrank::emulation::internal::RunGrid(dim3 grid, dim3 block, void (*run)(const void*), const void* arguments) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) {
    Result(error);
    return;
  }
  const bool block_fits = block.x >= 1 && block.x <= 1024 && block.y >= 1 && block.y <= 1024 && block.z >= 1 &&
                          block.z <= 64 && size_t{block.x} * block.y * block.z <= 1024;
  const bool grid_fits =
      grid.x >= 1 && grid.x <= 0x7fffffffU && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
  if (!block_fits || !grid_fits) {
    Result(cudaErrorInvalidConfiguration);
    return;
  }
  thread_local bool launching = false;
  if (launching) Fail("a kernel launches a kernel");
  std::lock_guard<std::mutex> lock(launch_mutex);
  blockDim = block;
  gridDim = grid;
  body = run;
  body_arguments = arguments;
  block_size = block.x * block.y * block.z;
  while (threads.size() < block_size) {
    threads.push_back(NewThread());
    threads.back()->number = static_cast<unsigned>(threads.size()) - 1;
  }
  warps.resize((block_size + 31) / 32);
#ifdef __SANITIZE_THREAD__
  scheduler.tsan_fiber = __tsan_get_current_fiber();
#endif
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
  ++launches;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInitializationError:
      return "initialization error";
    case cudaErrorCudartUnloading:
      return "driver shutting down";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidPitchValue:
      return "invalid pitch argument";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice:
      return "no kernel image is available for execution on the device";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    case cudaErrorNotSupported:
      return "operation not supported";
    case cudaErrorUnknown:
      return "unknown error";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    default:
      return cudaGetErrorString(error);
  }
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = std::max(emulation::device_count.load(), 0);
  return Result(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  const cudaError_t error = CheckDevice(device);
  if (error == cudaSuccess) chosen_device = device;
  return Result(error);
}

cudaError_t cudaGetDevice(int* device) {
  *device = chosen_device;
  return Result(CheckDevice());
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (const cudaError_t error = CheckDevice(device); error != cudaSuccess) return Result(error);
  *properties = {};
  std::strcpy(properties->name, "CUDA emulation");
  properties->totalGlobalMem = emulation::memory_limit;
  properties->sharedMemPerBlock = 48 << 10;
  properties->warpSize = warpSize;
  properties->maxThreadsPerBlock = 1024;
  properties->major = 8;
  properties->minor = 0;
  properties->multiProcessorCount = 2;
  properties->l2CacheSize = 4 << 20;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->sharedMemPerMultiprocessor = 96 << 10;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
      *value = properties.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrMaxGridDimX:
      *value = 0x7fffffff;
      return cudaSuccess;
    case cudaDevAttrMaxGridDimY:
      *value = 65535;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = properties.warpSize;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrIntegrated:
    case cudaDevAttrPageableMemoryAccess:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = properties.l2CacheSize;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = properties.maxThreadsPerMultiProcessor;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(properties.sharedMemPerMultiprocessor);
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      return cudaSuccess;
  }
  return Result(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceSynchronize() { return Result(CheckDevice()); }

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  *total = emulation::memory_limit;
  *free = *total - std::min(*total, emulation::allocated.load());
  return cudaSuccess;
}

// A machine without a GPU has no driver.
cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulation::device_count > 0 ? 13000 : 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  *stream = new CUstream_st{flags};
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return Result(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Touch(stream);
  return Result(CheckDevice());
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  Touch(event);
  return cudaStreamSynchronize(stream);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  *event = new CUevent_st{};
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  Touch(stream);
  event->time = std::chrono::steady_clock::now();
  return Result(CheckDevice());
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  Touch(event);
  return Result(CheckDevice());
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return cudaEventQuery(event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (from == nullptr || to == nullptr) return Result(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return Result(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return Allocate(memory, bytes, DeviceMemory(), emulation::allocated, emulation::memory_limit);
}
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t stream) {
  Touch(stream);
  return cudaMalloc(memory, bytes);
}
cudaError_t cudaFree(void* memory) { return Free(memory, DeviceMemory(), emulation::allocated); }
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  Touch(stream);
  return cudaFree(memory);
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return Allocate(memory, bytes, PinnedMemory(), emulation::pinned, SIZE_MAX);
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, cudaHostAllocDefault); }
cudaError_t cudaFreeHost(void* memory) { return Free(memory, PinnedMemory(), emulation::pinned); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  Touch(stream);
  return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  Touch(stream);
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  if (width == 0 || height == 0) return cudaSuccess;
  if (width > to_pitch || width > from_pitch) return Result(cudaErrorInvalidPitchValue);
  const cudaError_t error =
      CheckCopy(to, (height - 1) * to_pitch + width, from, (height - 1) * from_pitch + width, kind);
  if (error != cudaSuccess) return Result(error);
  for (size_t row = 0; row < height; ++row)
    std::memcpy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  Touch(stream);
  if (const cudaError_t error = CheckDevice(); error != cudaSuccess) return Result(error);
  if (bytes == 0) return cudaSuccess;
  if (PlaceOf(memory, bytes) != Place::kDevice) return Result(cudaErrorInvalidValue);
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) { return cudaMemsetAsync(memory, value, bytes, nullptr); }

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  *pool = nullptr;
  return Result(CheckDevice(device));
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return Result(CheckDevice()); }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return Result(CheckDevice()); }
