#include "pool/pooling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"

namespace flatrank {

namespace {

constexpr size_t kSerialValues = size_t{1} << 16;  // below this waking a thread costs more than it brings
constexpr float kLeastNorm = 1e-12f;

void PoolText(const float* rows, size_t length, size_t d, Pooling mode, const Kernels& kernels, float* out) {
  if (length == 0) {
    std::fill_n(out, d, 0.0f);
    return;
  }
  std::memcpy(out, rows, d * sizeof(float));
  if (mode == Pooling::kCls) return;
  const auto accumulate = mode == Pooling::kMax ? kernels.max : kernels.add;
  for (size_t i = 1; i < length; ++i) accumulate(out, rows + i * d, d);
  if (mode == Pooling::kMean) kernels.divide(out, static_cast<float>(length), d);
  if (mode == Pooling::kMeanSqrtLen) kernels.divide(out, std::sqrt(static_cast<float>(length)), d);
}

}  // namespace

void Pool(const TokenVectors& tokens, Pooling mode, bool normalize, int max_threads, const Cancellation& cancellation,
          float* out) {
  const size_t d = tokens.dimension;
  size_t used = 0;
  for (size_t i = 0; i < tokens.n; ++i) {
    const int64_t offset = tokens.offsets[i], length = tokens.lengths[i];
    if (offset < 0 || length < 0 || offset + length > static_cast<int64_t>(tokens.rows))
      throw Error(kInvalidArgument, "Expected the rows of text " + std::to_string(i) + " to lie within the " +
                                        std::to_string(tokens.rows) + " rows of `hidden` but received offset " +
                                        std::to_string(offset) + ", length " + std::to_string(length));
    used += static_cast<size_t>(length);
  }
  const Kernels& kernels = ActiveKernels();
  const int threads = used * d < kSerialValues ? 1 : max_threads;
  ThreadPool::Shared().ParallelFor(tokens.n, threads, [&](size_t i, int) {
    cancellation.ThrowIfCancelled();
    float* vector = out + i * d;
    PoolText(tokens.values + static_cast<size_t>(tokens.offsets[i]) * d, static_cast<size_t>(tokens.lengths[i]), d,
             mode, kernels, vector);
    if (normalize) {
      const float norm = static_cast<float>(std::sqrt(kernels.exact_dot(vector, vector, d)));
      kernels.divide(vector, std::max(norm, kLeastNorm), d);
    }
  });
}

}  // namespace flatrank
