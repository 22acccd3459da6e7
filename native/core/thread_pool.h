// The process's own thread pool: jobs run on it, and a running job splits its work over it.
#ifndef FLATRANK_CORE_THREAD_POOL_H_
#define FLATRANK_CORE_THREAD_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace flatrank {

class ThreadPool {
 public:
  // The one pool of the process, as many threads as CpuLimit() or FLATRANK_THREADS says. It is never destroyed: its
  // threads sleep until the process ends, so nothing has to be ordered against static destructors.
  static ThreadPool& Shared();

  // Threads start with the first job.
  explicit ThreadPool(int threads);
  // Runs what is queued, then joins. Only pools of tests are destroyed.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return thread_count_; }

  // Queues `job`, which must not throw. Jobs start in the order of submission.
  void Submit(std::function<void()> job);

  // Runs body(index, slot) for every index in [0, count), on the caller and up to max_threads - 1 idle threads of the
  // pool; returns when all have ended. `slot` in [0, max_threads) tells apart the threads at work, for their scratch
  // memory. The first exception stops the handing out of indices and is rethrown here.
  void ParallelFor(size_t count, int max_threads, const std::function<void(size_t index, int slot)>& body);

 private:
  struct Region;

  void Start();
  void Work();

  const int thread_count_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> workers_;
  bool stopping_ = false;
};

}  // namespace flatrank

#endif  // FLATRANK_CORE_THREAD_POOL_H_
