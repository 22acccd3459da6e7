#include "addon/environment.h"

#include <exception>
#include <new>
#include <utility>

#include "core/error.h"
#include "core/thread_pool.h"

namespace flatrank::addon {

struct Environment::Job {
  Job(Napi::Env env, std::shared_ptr<Cancellation> token, JobSpec job_spec)
      : deferred(Napi::Promise::Deferred::New(env)), cancellation(std::move(token)), spec(std::move(job_spec)) {}

  Napi::Promise::Deferred deferred;
  std::shared_ptr<Cancellation> cancellation;
  JobSpec spec;
  std::exception_ptr failure;
  bool started = false;  // under Shared::mutex
};

Environment& Environment::Create(Napi::Env env) {
  auto* state = new Environment(env);
  env.SetInstanceData<Environment>(state);
  return *state;
}

Environment::Environment(Napi::Env env) : env_(env) {
  const auto call_js = [](napi_env call_env, napi_value, void* context, void*) {
    if (call_env == nullptr) return;  // torn down
    static_cast<Environment*>(context)->SettleFinished();
  };
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "flatrank"),
                                                             0, 1, nullptr, nullptr, this, call_js, &shared_->wake);
  if (status != napi_ok) throw Napi::Error::New(env, "flatrank: no thread-safe function could be made");
  // It holds the event loop only while there are jobs.
  napi_unref_threadsafe_function(env, shared_->wake);
  // Hooks run in reverse order, so this one comes before Node closes the function above.
  napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<Environment*>(self)->TearDown(); }, this);
}

Napi::Promise Environment::Run(std::shared_ptr<Cancellation> cancellation, JobSpec spec) {
  if (!cancellation) cancellation = std::make_shared<Cancellation>();
  auto job = std::make_shared<Job>(env_, std::move(cancellation), std::move(spec));
  const Napi::Promise promise = job->deferred.Promise();
  if (job->spec.quick) {
    Attempt(*job);
    Settle(*job);
    return promise;
  }
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->pending.insert(job);
  }
  if (unsettled_++ == 0) napi_ref_threadsafe_function(env_, shared_->wake);
  ThreadPool::Shared().Submit([shared = shared_, job] { Execute(*shared, job); });
  return promise;
}

void Environment::Attempt(Job& job) {
  try {
    job.cancellation->ThrowIfCancelled();
    job.spec.execute(*job.cancellation);
  } catch (...) {
    job.failure = std::current_exception();
  }
}

void Environment::Execute(Shared& shared, const std::shared_ptr<Job>& job) {
  {
    std::lock_guard<std::mutex> lock(shared.mutex);
    if (shared.closing) return;
    job->started = true;
  }
  Attempt(*job);
  std::lock_guard<std::mutex> lock(shared.mutex);
  shared.pending.erase(job);
  shared.finished.push_back(job);
  if (shared.closing) {
    shared.ended.notify_one();
  } else {
    napi_call_threadsafe_function(shared.wake, nullptr, napi_tsfn_nonblocking);
  }
}

void Environment::SettleFinished() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::lock_guard<std::mutex> lock(shared_->mutex);
      if (shared_->finished.empty()) return;
      job = std::move(shared_->finished.front());
      shared_->finished.pop_front();
    }
    Napi::HandleScope scope(env_);
    Settle(*job);
    if (--unsettled_ == 0) napi_unref_threadsafe_function(env_, shared_->wake);
  }
}

void Environment::Settle(Job& job) {
  if (job.spec.settled) job.spec.settled();
  try {
    try {
      if (job.failure) std::rethrow_exception(job.failure);
      job.deferred.Resolve(job.spec.result(env_, job.spec.pins));
    } catch (const Napi::Error& error) {
      job.deferred.Reject(error.Value());
    } catch (...) {
      job.deferred.Reject(CurrentError().Value());
    }
  } catch (const Napi::Error&) {
    // Not even rejecting was possible: the environment is being terminated, and nobody waits for the promise any more.
    // Out of this callback, which Node calls as C, an exception would end the process.
  }
  job.spec = {};  // gives up the pins on the thread they belong to
}

// Running jobs are told to stop and waited for: they may be writing into buffers that die with the environment. Queued
// ones will find it closed. What both pinned is given up here, on the thread it belongs to.
void Environment::TearDown() {
  std::unique_lock<std::mutex> lock(shared_->mutex);
  shared_->closing = true;
  for (const auto& job : shared_->pending) job->cancellation->Cancel();
  shared_->ended.wait(lock, [this] {
    for (const auto& job : shared_->pending)
      if (job->started) return false;
    return true;
  });
  for (const auto& job : shared_->pending) job->spec = {};
  for (const auto& job : shared_->finished) job->spec = {};
  shared_->pending.clear();
  shared_->finished.clear();
}

Napi::Error Environment::MakeError(const char* code, const char* message) {
  const Napi::String code_value = Napi::String::New(env_, code), text = Napi::String::New(env_, message);
  if (!error_class_.IsEmpty()) return Napi::Error(env_, error_class_.New({code_value, text}));
  Napi::Error error = Napi::Error::New(env_, message);
  error.Value().Set("code", code_value);
  return error;
}

Napi::Error Environment::CurrentError() {
  try {
    throw;
  } catch (const Error& error) {
    return MakeError(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return MakeError(kOutOfMemory, "Memory for vectors or results could not be had");
  } catch (const std::exception& error) {
    return MakeError(kInvalidArgument, error.what());
  }
}

}  // namespace flatrank::addon
