#include "core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <utility>

#include "core/cpu.h"

namespace flatrank {

namespace {

int ConfiguredThreads() {
  if (const char* text = std::getenv("FLATRANK_THREADS")) {
    const long threads = std::strtol(text, nullptr, 10);
    if (threads >= 1 && threads <= 1024) return static_cast<int>(threads);
  }
  return CpuLimit();
}

}  // namespace

// One ParallelFor under way. Invitations to it may be read after it has ended, so it is shared.
struct ThreadPool::Region {
  size_t count = 0;
  const std::function<void(size_t, int)>* body = nullptr;
  std::atomic<size_t> next{0};

  std::mutex mutex;
  std::condition_variable idle;
  int active = 0;
  int slots = 1;  // slot 0 is the caller's
  bool closed = false;
  std::exception_ptr failure;

  void Run(int slot) {
    try {
      for (;;) {
        const size_t index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) return;
        (*body)(index, slot);
      }
    } catch (...) {
      next.store(count, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }

  void Join() {
    int slot;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (closed) return;
      ++active;
      slot = slots++;
    }
    Run(slot);
    // Notified under the lock: the caller may be gone the moment it is released.
    std::lock_guard<std::mutex> lock(mutex);
    if (--active == 0) idle.notify_one();
  }
};

ThreadPool& ThreadPool::Shared() {
  static ThreadPool* const pool = new ThreadPool(ConfiguredThreads());
  return *pool;
}

ThreadPool::ThreadPool(int threads) : thread_count_(std::max(threads, 1)) {}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// Called with mutex_ held.
void ThreadPool::Start() {
  if (!workers_.empty()) return;
  workers_.reserve(static_cast<size_t>(thread_count_));
  for (int i = 0; i < thread_count_; ++i) workers_.emplace_back([this] { Work(); });
}

void ThreadPool::Work() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

void ThreadPool::Submit(std::function<void()> job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Start();
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void ThreadPool::ParallelFor(size_t count, int max_threads, const std::function<void(size_t, int)>& body) {
  if (count == 0) return;
  const size_t wanted = std::min(count, static_cast<size_t>(std::clamp(max_threads, 1, thread_count_)));
  if (wanted == 1) {
    for (size_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  auto region = std::make_shared<Region>();
  region->count = count;
  region->body = &body;
  {
    // In front of the queue: a job that has begun is finished before another begins.
    std::lock_guard<std::mutex> lock(mutex_);
    Start();
    for (size_t i = 1; i < wanted; ++i) jobs_.push_front([region] { region->Join(); });
  }
  if (wanted == 2) {
    wake_.notify_one();
  } else {
    wake_.notify_all();
  }
  region->Run(0);
  std::unique_lock<std::mutex> lock(region->mutex);
  region->closed = true;
  region->idle.wait(lock, [&] { return region->active == 0; });
  // Taken out, so that the exception dies on this thread however long an invitation keeps the region.
  if (std::exception_ptr failure = std::exchange(region->failure, nullptr)) std::rethrow_exception(failure);
}

}  // namespace flatrank
