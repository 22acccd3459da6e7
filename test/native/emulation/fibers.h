// Fibers: stacks of execution that one OS thread switches between.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_FIBERS_H_
#define FLATRANK_TEST_NATIVE_EMULATION_FIBERS_H_

#include <cstddef>

#if !defined(FLATRANK_EMULATION_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define FLATRANK_EMULATION_UCONTEXT
#endif
#ifdef FLATRANK_EMULATION_UCONTEXT
#include <ucontext.h>
#endif

namespace flatrank::emulation::internal {

// The OS thread's own stack, or a fiber's.
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
};

// Gives a fiber its stack, which is never freed. The first switch to it calls `main`, which calls Arrive() first thing
// and never returns.
void MakeFiber(Context& fiber, void (*main)());

void Arrive(Context& here);

// Leaves `from`, the running context; returns when something switches back to it.
void Switch(Context& from, Context& to);

}  // namespace flatrank::emulation::internal

#endif  // FLATRANK_TEST_NATIVE_EMULATION_FIBERS_H_
