#include "optimizer/optimizer.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "optimizer/adamw_kernel.h"

namespace flatrank {

namespace {

// Work is cut here, whatever the threads, so that sums do not depend on them.
constexpr size_t kPiece = size_t{1} << 16;
constexpr size_t kSerialPieces = 2;

// A run of at most kPiece values of one tensor.
struct Piece {
  size_t tensor;
  size_t begin;
  size_t size;
};

template <typename Tensors>
std::vector<Piece> PiecesOf(const Tensors& tensors) {
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tensors.size(); ++t)
    for (size_t begin = 0; begin < tensors[t].size; begin += kPiece)
      pieces.push_back({t, begin, std::min(kPiece, tensors[t].size - begin)});
  return pieces;
}

template <typename Body>
void ForEach(const std::vector<Piece>& pieces, int max_threads, const Body& body) {
  const int threads = pieces.size() <= kSerialPieces ? 1 : max_threads;
  ThreadPool::Shared().ParallelFor(pieces.size(), threads, [&](size_t i, int) { body(i, pieces[i]); });
}

}  // namespace

void AdamW(const std::vector<AdamWTensor>& tensors, const AdamWStep& step, int max_threads) {
  const double steps = static_cast<double>(step.step);
  const auto rounded = [](double value) { return static_cast<float>(value); };
  AdamWFactors shared{};
  shared.gradient_scale = rounded(step.gradient_scale);
  shared.first_weight = rounded(1 - step.beta1);
  shared.second_decay = rounded(step.beta2);
  shared.second_weight = rounded(1 - step.beta2);
  shared.second_correction = rounded(std::sqrt(1 - std::pow(step.beta2, steps)));
  shared.epsilon = rounded(step.epsilon);
  shared.step_size = rounded(step.learning_rate / (1 - std::pow(step.beta1, steps)));
  AdamWKernel* const kernel = ActiveAdamW();
  ForEach(PiecesOf(tensors), max_threads, [&](size_t, const Piece& piece) {
    const AdamWTensor& t = tensors[piece.tensor];
    AdamWFactors factors = shared;
    factors.decay = rounded(1 - step.learning_rate * t.weight_decay);
    kernel(t.parameter + piece.begin, t.gradient + piece.begin, t.first_moment + piece.begin,
           t.second_moment + piece.begin, piece.size, factors);
  });
}

double GlobalNorm(const std::vector<FloatSpan>& tensors, int max_threads) {
  const std::vector<Piece> pieces = PiecesOf(tensors);
  std::vector<double> sums(pieces.size());
  const Kernels& kernels = ActiveKernels();
  ForEach(pieces, max_threads, [&](size_t i, const Piece& piece) {
    const float* values = tensors[piece.tensor].data + piece.begin;
    sums[i] = kernels.exact_dot(values, values, piece.size);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return std::sqrt(sum);
}

void Accumulate(const std::vector<FloatSpan>& targets, const std::vector<FloatSpan>& sources, int max_threads) {
  const Kernels& kernels = ActiveKernels();
  ForEach(PiecesOf(targets), max_threads, [&](size_t, const Piece& piece) {
    kernels.add(targets[piece.tensor].data + piece.begin, sources[piece.tensor].data + piece.begin, piece.size);
  });
}

void ScatterAddRows(float* table, size_t table_rows, size_t cols, const float* rows, const int32_t* ids, size_t n,
                    int32_t skip, int max_threads) {
  for (size_t i = 0; i < n; ++i)
    if (ids[i] < 0 || static_cast<size_t>(ids[i]) >= table_rows)
      throw Error(kInvalidArgument, "Expected ids below " + std::to_string(table_rows) + " but received " +
                                        std::to_string(ids[i]) + " at " + std::to_string(i));
  // Each thread owns a band of columns, so that equal ids are added up in their order.
  const size_t band =
      std::max<size_t>(64, (cols + static_cast<size_t>(max_threads) - 1) / static_cast<size_t>(max_threads));
  const int threads = n * cols <= kPiece ? 1 : max_threads;
  const Kernels& kernels = ActiveKernels();
  ThreadPool::Shared().ParallelFor((cols + band - 1) / band, threads, [&](size_t b, int) {
    const size_t begin = b * band, size = std::min(band, cols - begin);
    for (size_t i = 0; i < n; ++i)
      if (ids[i] != skip)
        kernels.add(table + static_cast<size_t>(ids[i]) * cols + begin, rows + i * cols + begin, size);
  });
}

}  // namespace flatrank
