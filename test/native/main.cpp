// Runs every test, or those whose name contains the first argument.
#include <cstring>

#include "check.h"
#include "kernels/kernels.h"

int main(int argc, char** argv) {
  int count = 0;
  for (const auto& test : flatrank::test::Tests()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    std::printf("%s\n", test.name);
    std::fflush(stdout);
    test.run();
    ++count;
  }
  std::printf("%d native tests passed with %s kernels\n", count, flatrank::ActiveKernels().name);
  return count > 0 ? 0 : 1;
}
