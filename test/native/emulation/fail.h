// The end of a program that does what a GPU does not allow.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_FAIL_H_
#define FLATRANK_TEST_NATIVE_EMULATION_FAIL_H_

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace flatrank::emulation::internal {

// Prints the message and aborts.
[[noreturn]] __attribute__((format(printf, 1, 2))) inline void Fail(const char* format, ...) {
  std::fflush(stdout);
  std::fputs("CUDA emulation: ", stderr);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

}  // namespace flatrank::emulation::internal

#endif  // FLATRANK_TEST_NATIVE_EMULATION_FAIL_H_
