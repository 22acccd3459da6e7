// A test is a function registered with TEST; CHECK prints what failed and where, and the program exits non-zero.
#ifndef FLATRANK_TEST_NATIVE_CHECK_H_
#define FLATRANK_TEST_NATIVE_CHECK_H_

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace flatrank::test {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}

struct Register {
  Register(const char* name, void (*run)()) { Tests().push_back({name, run}); }
};

[[noreturn]] inline void Fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::exit(1);
}

}  // namespace flatrank::test

#define TEST(name)                                                      \
  static void name();                                                   \
  static const ::flatrank::test::Register register_##name(#name, name); \
  static void name()

#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) ::flatrank::test::Fail(__FILE__, __LINE__, "CHECK failed: " #condition); \
  } while (false)

// The error code that `expression` throws must be `expected`.
#define CHECK_THROWS(expected, expression)                                                                       \
  do {                                                                                                           \
    std::string code = "nothing";                                                                                \
    try {                                                                                                        \
      expression;                                                                                                \
    } catch (const ::flatrank::Error& error) {                                                                   \
      code = error.code();                                                                                       \
    }                                                                                                            \
    if (code != (expected)) ::flatrank::test::Fail(__FILE__, __LINE__, "expected " #expected ", threw " + code); \
  } while (false)

#endif  // FLATRANK_TEST_NATIVE_CHECK_H_
