// What can never go on, or is not allowed on a GPU, aborts and says why.
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "testing.h"

namespace flatrank::test {

namespace {

// What `body` writes to stderr before it aborts; "" if it does not abort.
template <typename Body>
std::string AbortMessage(Body body) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], 2);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string message;
  char buffer[256];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;)
    message.append(buffer, static_cast<size_t>(got));
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? message : "";
}

bool Contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

__global__ void HalfAtWarp() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else if (threadIdx.x < 48) {
    __ballot_sync(kFull, 1);
  }
}
__global__ void TwoBarriers() {
  if (threadIdx.x == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void NotInMask() { __syncwarp(1U); }
__global__ void OutsideMask() {
  if (threadIdx.x < 16) __shfl_sync(0xffffU, 1, 20);
}
__global__ void MisalignedTile(signed char* memory) {
  nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, signed char, nvcuda::wmma::row_major> tile;
  nvcuda::wmma::load_matrix_sync(tile, memory + 16, 16);
}

TEST(EmulationAbortsWhatCannotGoOn) {
  const auto run = [](void (*kernel)()) { return AbortMessage([&] { cuda::Launch(kernel, 1, 64, nullptr); }); };
  const std::string half = run(HalfAtWarp);
  CHECK(Contains(half, "32 threads, the first of them 0, wait at __syncthreads") && Contains(half, "aborts_test"));
  CHECK(Contains(half, "16 threads, the first of them 32, wait at __ballot_sync") &&
        Contains(half, "16 threads, the first of them 48, have returned"));
  CHECK(Contains(run(TwoBarriers), "but thread 1 at __syncthreads"));
  CHECK(Contains(run(NotInMask), "lane 1 is not in its mask 0x00000001"));
  CHECK(Contains(run(OutsideMask), "shuffles from lane 20"));
  const Device<signed char> memory(1024);
  const std::string misaligned = AbortMessage([&] { cuda::Launch(MisalignedTile, 1, 32, nullptr, memory.data()); });
  CHECK(Contains(misaligned, "aligned to 32 bytes"));
  CHECK(Contains(AbortMessage([] { __syncthreads(); }), "outside of a kernel"));
}

}  // namespace flatrank::test
