// A flag that one thread raises and a running job looks at between bounded pieces of work.
#ifndef FLATRANK_CORE_CANCELLATION_H_
#define FLATRANK_CORE_CANCELLATION_H_

#include <atomic>

#include "core/error.h"

namespace flatrank {

class Cancellation {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  void ThrowIfCancelled() const {
    if (cancelled()) throw Error(kCancelled, "The native job was cancelled");
  }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace flatrank

#endif  // FLATRANK_CORE_CANCELLATION_H_
