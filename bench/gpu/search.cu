// How fast does the GPU search? `flatrank_gpu_bench N D` prints a JSON line for each number of queries and of
// neighbours, and one for what the card's memory and tensor cores give. scripts/gpu.sh builds and runs it, and
// gpu_search_peer.py beside it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "core/thread_pool.h"
#include "cuda/memory.h"
#include "device/device_index.h"

extern "C" const flatrank::cuda::Library* flatrank_cuda_library();

namespace {

using flatrank::Cancellation;
using flatrank::DeviceIndex;
using flatrank::FlatIndex;

constexpr size_t kClusters = 1000;
constexpr int kRounds = 15;

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The median of `rounds` runs, after one that warms up.
template <typename Body>
double MedianMs(int rounds, Body body) {
  std::vector<double> times;
  for (int round = -1; round < rounds; ++round) {
    const double start = Seconds();
    body();
    if (round >= 0) times.push_back((Seconds() - start) * 1e3);
  }
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[static_cast<size_t>(rounds / 2)];
}

// Unit vectors around cluster centres, as embeddings lie.
std::vector<float> Clustered(size_t n, size_t d, unsigned seed) {
  constexpr size_t kAtOnce = 4096;
  std::mt19937 centre_generator(1);
  std::normal_distribution<float> centre_normal;
  std::vector<float> centres(kClusters * d), x(n * d);
  for (float& value : centres) value = centre_normal(centre_generator);
  flatrank::ThreadPool::Shared().ParallelFor((n + kAtOnce - 1) / kAtOnce, 64, [&](size_t task, int) {
    std::seed_seq seeds{static_cast<size_t>(seed), task};
    std::mt19937 generator(seeds);
    std::normal_distribution<float> normal;
    for (size_t i = task * kAtOnce; i < std::min(n, (task + 1) * kAtOnce); ++i) {
      const float* centre = centres.data() + generator() % kClusters * d;
      double norm2 = 0;
      for (size_t j = 0; j < d; ++j) {
        const float value = centre[j] + normal(generator);
        x[i * d + j] = value;
        norm2 += static_cast<double>(value) * value;
      }
      for (size_t j = 0; j < d; ++j) x[i * d + j] /= static_cast<float>(std::sqrt(norm2));
    }
  });
  return x;
}

// Bytes a second that a copy from the GPU's memory to itself reads and writes.
double CopyBandwidth() {
  constexpr size_t kBytes = size_t{1} << 30;
  const flatrank::cuda::DeviceArray<char> from(kBytes), to(kBytes);
  const flatrank::cuda::Stream stream;
  const double ms = MedianMs(kRounds, [&] {
    flatrank::cuda::Check(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, stream));
    stream.Wait();
  });
  return 2.0 * static_cast<double>(kBytes) / (ms * 1e-3);
}

constexpr int kWarps = 8, kProducts = 4096;

// Each warp multiplies the same tiles of bytes again and again, as a scan does four of them at a time.
__global__ void MultiplyTiles(int* out) {
  using namespace nvcuda;
  wmma::fragment<wmma::matrix_a, 16, 16, 16, signed char, wmma::row_major> a[2];
  wmma::fragment<wmma::matrix_b, 16, 16, 16, signed char, wmma::col_major> b[2];
  wmma::fragment<wmma::accumulator, 16, 16, 16, int> sums[2][2];
  for (int i = 0; i < 2; ++i) {
    wmma::fill_fragment(a[i], static_cast<signed char>(threadIdx.x));
    wmma::fill_fragment(b[i], static_cast<signed char>(blockIdx.x));
    for (auto& sum : sums[i]) wmma::fill_fragment(sum, 0);
  }
  for (int round = 0; round < kProducts; ++round)
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 2; ++j) wmma::mma_sync(sums[i][j], a[i], b[j], sums[i][j]);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j)
      wmma::store_matrix_sync(out + (blockIdx.x * kWarps + threadIdx.x / 32) * 256, sums[i][j], 16,
                              wmma::mem_row_major);
}

// Products of bytes a second, each with its sum, that the tensor cores give by the instructions that scans use.
double MatrixRate() {
  int multiprocessors = 0;
  flatrank::cuda::Check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
  const auto blocks = static_cast<unsigned>(multiprocessors * 8);
  const flatrank::cuda::DeviceArray<int> out(static_cast<size_t>(blocks) * kWarps * 256);
  const flatrank::cuda::Stream stream;
  const double ms = MedianMs(kRounds, [&] {
    flatrank::cuda::Launch(MultiplyTiles, dim3(blocks), dim3(kWarps * 32), stream, out.data());
    flatrank::cuda::Check(cudaGetLastError());
    stream.Wait();
  });
  return 4.0 * 16 * 16 * 16 * kProducts * kWarps * blocks / (ms * 1e-3);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: %s N D\n", arguments[0]);
    return 2;
  }
  const size_t n = std::strtoull(arguments[1], nullptr, 10), d = std::strtoull(arguments[2], nullptr, 10);
  const Cancellation never;
  const double bandwidth = CopyBandwidth();
  const double rate = MatrixRate();
  std::printf("{\"what\":\"ceilings\",\"bytes_per_second\":%.4g,\"products_per_second\":%.4g}\n", bandwidth, rate);
  FlatIndex index(d, flatrank::Metric::kL2, true, DeviceIndex::kBlockSizes);
  for (size_t begin = 0, step = std::min<size_t>(n, 1000000); begin < n; begin += step) {
    const size_t taken = std::min(step, n - begin);
    const std::vector<float> rows = Clustered(taken, d, static_cast<unsigned>(begin + 2));
    index.Stage(rows.data(), taken, n - begin - taken);
    index.Commit(64, never);
  }
  DeviceIndex device(*flatrank_cuda_library());
  const auto search = [&](const std::vector<float>& queries, size_t nq, size_t k, bool on_gpu,
                          std::vector<int32_t>& labels) {
    std::vector<float> distances(nq * k);
    labels.resize(nq * k);
    if (on_gpu)
      device.Search(index.TakeSnapshot(), index.space(), queries.data(), nq, k, {nullptr, 64}, never, distances.data(),
                    labels.data());
    else
      flatrank::Search(index.TakeSnapshot(), index.space(), queries.data(), nq, k, {nullptr, 64}, never,
                       distances.data(), labels.data());
  };
  for (const size_t nq : {1, 16, 256, 4096})
    for (const size_t k : {10, 100}) {
      const std::vector<float> queries = Clustered(nq, d, 99);
      std::vector<int32_t> labels, expected;
      const double ms = MedianMs(kRounds, [&] { search(queries, nq, k, true, labels); });
      const size_t checked = std::min<size_t>(nq, 64);
      search({queries.begin(), queries.begin() + static_cast<std::ptrdiff_t>(checked * d)}, checked, k, false,
             expected);
      const bool same = std::equal(expected.begin(), expected.end(), labels.begin());
      // Shares of the ceilings: of the codes and terms that a scan reads once, and of the products of codes.
      const double per_second = static_cast<double>(n) / (ms * 1e-3);
      const double memory_share = per_second * static_cast<double>(index.space().row_bytes()) / bandwidth;
      const double matrix_share = per_second * static_cast<double>(nq * index.space().padded) / rate;
      std::printf(
          "{\"what\":\"flatrank\",\"n\":%zu,\"d\":%zu,\"nq\":%zu,\"k\":%zu,\"ms\":%.4f,\"same\":%s,\"memory_share\":%."
          "3f,"
          "\"matrix_share\":%.3f}\n",
          n, d, nq, k, ms, same ? "true" : "false", memory_share, matrix_share);
      std::fflush(stdout);
    }
  return 0;
}
