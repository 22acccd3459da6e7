#include "fibers.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include "fail.h"

namespace flatrank::emulation::internal {

namespace {

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

}  // namespace

void MakeFiber(Context& fiber, void (*main)()) {
  constexpr size_t kStack = size_t{256} << 10;  // only what is touched is memory
  const auto guard = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, guard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) Fail("no memory for a stack");
  char* bottom = static_cast<char*>(memory) + guard;
  // Stacks begin at different places of a page, lest all of them share the same lines of the cache.
  static size_t count = 0;
  const size_t size = kStack - count++ % 32 * 128;
  fiber.bottom = bottom;
  fiber.size = size;
#ifdef FLATRANK_EMULATION_UCONTEXT
  getcontext(&fiber.saved);
  fiber.saved.uc_stack.ss_sp = bottom;
  fiber.saved.uc_stack.ss_size = size;
  fiber.saved.uc_link = nullptr;
  makecontext(&fiber.saved, main, 0);
#else
  // As if `main` had called the switch in its first instruction.
  auto* top = reinterpret_cast<uintptr_t*>(bottom + size);
  const auto entry = reinterpret_cast<uintptr_t>(main);
#ifdef __x86_64__
  *--top = 0;  // `main`'s return address: the stack's end for debuggers
  *--top = entry;
  top -= kSavedRegisters;
#else
  top -= kSavedRegisters;
  top[kLinkRegister] = entry;
#endif
  fiber.stack_pointer = top;
#endif
}

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
#ifdef FLATRANK_EMULATION_UCONTEXT
  swapcontext(&from.saved, &to.saved);
#else
  FlatrankEmulationSwitch(&from.stack_pointer, to.stack_pointer);
#endif
  Arrive(from);
}

}  // namespace flatrank::emulation::internal
