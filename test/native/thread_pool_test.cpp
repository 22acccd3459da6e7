#include "core/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"

namespace flatrank::test {

TEST(ThreadPoolRunsEveryIndexOnceInItsOwnSlot) {
  ThreadPool pool(4);
  for (const int threads : {1, 2, 4, 9}) {
    std::vector<std::atomic<int>> runs(1000);
    std::vector<std::atomic<int>> busy(4);
    pool.ParallelFor(runs.size(), threads, [&](size_t index, int slot) {
      CHECK(slot >= 0 && slot < std::min(threads, 4));
      CHECK(busy[static_cast<size_t>(slot)].fetch_add(1) == 0);  // nobody else works in this slot
      ++runs[index];
      busy[static_cast<size_t>(slot)].fetch_sub(1);
    });
    for (const auto& count : runs) CHECK(count == 1);
  }
  pool.ParallelFor(0, 4, [](size_t, int) { CHECK(false); });
}

TEST(ThreadPoolRethrowsTheFirstFailureAndStops) {
  ThreadPool pool(3);
  for (const int threads : {1, 3}) {
    std::atomic<size_t> ran{0};
    bool thrown = false;
    try {
      pool.ParallelFor(1000000, threads, [&](size_t index, int) {
        ++ran;
        if (index == 10) throw std::runtime_error("ten");
      });
    } catch (const std::runtime_error& error) {
      thrown = std::string(error.what()) == "ten";
    }
    CHECK(thrown && ran < 1000000);
  }
}

TEST(ThreadPoolJobsSplitTheirWorkOverIt) {
  // More jobs than threads, each splitting its work over the same pool: none may wait for another.
  ThreadPool pool(2);
  std::mutex mutex;
  std::condition_variable ended;
  int left = 20;
  std::atomic<size_t> sum{0};
  for (int job = 0; job < 20; ++job)
    pool.Submit([&] {
      pool.ParallelFor(100, 2, [&](size_t index, int) { sum += index; });
      std::lock_guard<std::mutex> lock(mutex);
      if (--left == 0) ended.notify_one();
    });
  std::unique_lock<std::mutex> lock(mutex);
  ended.wait(lock, [&] { return left == 0; });
  CHECK(sum == 20 * 4950);
}

TEST(CpuLimitIsAtLeastOne) { CHECK(CpuLimit() >= 1 && CpuLimit() <= 65536); }

}  // namespace flatrank::test
