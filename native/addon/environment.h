// What one JavaScript environment (the main thread, each worker thread) keeps, and how it runs native jobs.
#ifndef FLATRANK_ADDON_ENVIRONMENT_H_
#define FLATRANK_ADDON_ENVIRONMENT_H_

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "core/cancellation.h"

namespace flatrank::addon {

// A native job. Everything it touches on the pool was copied, is owned by a shared pointer it captured, or lies in a
// JavaScript buffer that `pins` keeps alive and that nobody else can detach.
struct JobSpec {
  // Runs on the thread pool and touches no N-API. What it throws rejects the promise.
  std::function<void(const Cancellation&)> execute;
  // Runs on the JavaScript thread and makes the value the promise resolves with.
  std::function<Napi::Value(Napi::Env, const std::vector<Napi::ObjectReference>& pins)> result;
  // Runs on the JavaScript thread when the job has ended either way; may be empty.
  std::function<void()> settled;
  // Objects kept alive until then.
  std::vector<Napi::ObjectReference> pins;
  // It takes less time than handing it to another thread and back would: it runs at once, on the JavaScript thread.
  bool quick = false;
};

class Environment {
 public:
  // Makes the environment's state; it lives until the environment is torn down.
  static Environment& Create(Napi::Env env);
  static Environment& Of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  explicit Environment(Napi::Env env);

  // Runs the job on the process's pool. The event loop stays alive for it; when the environment is torn down before it
  // ends, it is cancelled and waited for. `cancellation` may be null.
  Napi::Promise Run(std::shared_ptr<Cancellation> cancellation, JobSpec spec);

  // Errors raised from now on are instances of this class: new errorClass(code, message).
  void SetErrorClass(Napi::Function error_class) { error_class_ = Napi::Persistent(error_class); }
  // The JavaScript error for whatever C++ exception is being handled.
  Napi::Error CurrentError();

 private:
  struct Job;

  // What the pool's threads see; it outlives the environment where one of them still looks at it.
  struct Shared {
    std::mutex mutex;
    std::condition_variable ended;
    std::unordered_set<std::shared_ptr<Job>> pending;  // queued or running
    std::deque<std::shared_ptr<Job>> finished;
    bool closing = false;
    napi_threadsafe_function wake = nullptr;
  };

  static void Attempt(Job& job);
  static void Execute(Shared& shared, const std::shared_ptr<Job>& job);

  Napi::Error MakeError(const char* code, const char* message);
  void Settle(Job& job);
  void SettleFinished();
  void TearDown();

  const Napi::Env env_;
  Napi::FunctionReference error_class_;
  size_t unsettled_ = 0;  // on the JavaScript thread only
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// Calls `body` and turns what it throws into a JavaScript exception.
template <typename Body>
auto Guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Environment::Of(env).CurrentError();
  }
}

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_ENVIRONMENT_H_
