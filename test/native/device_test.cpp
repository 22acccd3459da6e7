// Search on the GPU, or on the emulation of one (FLATRANK_TEST_GPU says which): the same answers as the CPU's, to the
// bit.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>

#include "check.h"
#include "cuda/library.h"
#include "device/device_index.h"
#include "device/device_library.h"
#include "reference.h"

#ifndef FLATRANK_TEST_GPU
#include "emulation/emulation.h"
#endif

extern "C" const flatrank::cuda::Library* flatrank_cuda_library();

namespace flatrank::test {

namespace {

// An index and its copy on the device.
struct DevicePair {
  DevicePair(size_t d, Metric metric, bool coded = true, size_t room = 0)
      : index(d, metric, coded), device(*flatrank_cuda_library(), room) {}

  Found Search(const Vectors& q, size_t k, const Selection* selection = nullptr, const Cancellation& cancel = kNever) {
    const size_t nq = q.size() / index.dimension();
    Found found{std::vector<float>(nq * k), std::vector<int32_t>(nq * k)};
    device.Search(index.TakeSnapshot(), index.space(), q.data(), nq, k, {selection, 2}, cancel, found.distances.data(),
                  found.labels.data());
    return found;
  }

  TestIndex index;
  DeviceIndex device;
};

Vectors Rows(const Vectors& x, size_t d, size_t begin, size_t end) {
  return {x.begin() + static_cast<std::ptrdiff_t>(begin * d), x.begin() + static_cast<std::ptrdiff_t>(end * d)};
}

// Rows in the order of their distance from `q`, the farthest first: every run finds nearer ones than those before.
Vectors FarthestFirst(const Vectors& x, const Vectors& q, size_t d) {
  std::vector<size_t> order(x.size() / d);
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](size_t i) { return KeyOf(x.data() + i * d, q.data(), d, Metric::kL2); };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) > key(b); });
  Vectors sorted;
  for (const size_t i : order) {
    const Vectors row = Rows(x, d, i, i + 1);
    sorted.insert(sorted.end(), row.begin(), row.end());
  }
  return sorted;
}

}  // namespace

TEST(device_search_of_every_kind_of_vectors_is_the_definitions) {
  for (const std::string& kind : Kinds())
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
      for (const size_t d : {size_t{5}, size_t{96}}) {
        const Vectors x = Make(kind, 700, d, 1), q = Make(kind, 11, d, 2);
        DevicePair pair(d, metric);
        Fill(pair.index, x);
        CHECK(pair.Search(q, 10) == BruteForce(x, q, d, 10, metric));
        CHECK(pair.Search(Rows(q, d, 0, 1), 3) == BruteForce(x, Rows(q, d, 0, 1), d, 3, metric));
      }
}

TEST(device_search_takes_any_number_of_queries_and_neighbours) {
  const size_t d = 40, n = 1000;
  const Vectors x = Gaussian(n, d, 3), q = Gaussian(70, d, 4);
  for (const bool coded : {true, false}) {
    DevicePair pair(d, Metric::kL2, coded);
    Fill(pair.index, x);
    for (const size_t nq : {1, 2, 3, 4, 5, 8, 9, 64, 70})
      for (const size_t k : {1, 17, 400}) {
        const Vectors some = Rows(q, d, 0, nq);
        CHECK(pair.Search(some, k) == BruteForce(x, some, d, k, Metric::kL2));
      }
    CHECK(pair.Search(Rows(q, d, 0, 1), n + 24) == BruteForce(x, Rows(q, d, 0, 1), d, n + 24, Metric::kL2));
    CHECK(pair.Search(Rows(q, d, 0, 1), 1100) == BruteForce(x, Rows(q, d, 0, 1), d, 1100, Metric::kL2));
  }
}

TEST(device_search_goes_on_in_longer_runs_and_repeats_those_that_were_too_long) {
  const size_t d = 32, n = 12000, k = 10;
  const Vectors x = Gaussian(n, d, 5), q = Gaussian(9, d, 6);
  const auto check = [&](const Vectors& rows, const Vectors& queries, bool coded) {
    for (const size_t room : {16 * k, size_t{0}}) {
      DevicePair pair(d, Metric::kL2, coded, room);
      pair.index.Stage(rows.data(), n);
      pair.index.Commit(2, kNever);
      CHECK(pair.Search(queries, k) == SearchIndex(pair.index, queries.data(), queries.size() / d, k, 2));
    }
  };
  check(x, q, true);
  check(x, Rows(q, d, 0, 1), true);
  check(FarthestFirst(x, q, d), q, true);
  // The nearest lie among the others: none may be lost where a run is repeated and those behind it had been queued.
  Vectors spread = FarthestFirst(x, q, d);
  for (size_t i = 0; i < k; ++i)
    std::swap_ranges(spread.end() - static_cast<std::ptrdiff_t>((i + 1) * d),
                     spread.end() - static_cast<std::ptrdiff_t>(i * d),
                     spread.begin() + static_cast<std::ptrdiff_t>((i + 1) * n / (k + 2) * d));
  check(spread, Rows(q, d, 0, 1), true);
  check(FarthestFirst(x, q, d), Rows(q, d, 0, 2), false);
  // More equal rows than a list has room for: such queries are answered on the CPU, the others here.
  Vectors equal = x;
  for (size_t i = 0; i < equal.size() / 2; ++i) equal[i] = q[i % d];
  check(equal, q, true);
  check(equal, q, false);
}

TEST(device_search_sees_what_was_selected_added_and_removed) {
  const size_t d = 64, n = 900;
  const Vectors x = Gaussian(n, d, 7), q = Gaussian(12, d, 8);
  DevicePair pair(d, Metric::kInnerProduct);
  for (const size_t end : {size_t{1}, size_t{20}, size_t{21}, size_t{500}, n}) {
    const size_t begin = pair.index.ntotal();
    pair.index.Stage(x.data() + begin * d, end - begin);
    pair.index.Commit(2, kNever);
    const Vectors part = Rows(x, d, 0, end);
    CHECK(pair.Search(q, 10) == BruteForce(part, q, d, 10, Metric::kInnerProduct));
    const Selection odd = Select(end, [](size_t i) { return i % 2 == 1; });
    CHECK(pair.Search(q, 10, &odd) == BruteForce(part, q, d, 10, Metric::kInnerProduct, &odd));
    const Selection none = Select(end, [](size_t) { return false; });
    CHECK(pair.Search(q, 10, &none) == BruteForce(part, q, d, 10, Metric::kInnerProduct, &none));
  }
  const Selection third = Select(n, [](size_t i) { return i % 3 == 0; });
  pair.index.Remove(third, 2, kNever);
  Vectors left;
  for (size_t i = 0; i < n; ++i)
    if (!third.Has(i)) {
      const Vectors row = Rows(x, d, i, i + 1);
      left.insert(left.end(), row.begin(), row.end());
    }
  CHECK(pair.Search(q, 10) == BruteForce(left, q, d, 10, Metric::kInnerProduct));
  pair.index.Reset();
  CHECK(pair.Search(q, 2) == BruteForce({}, q, d, 2, Metric::kInnerProduct));
}

TEST(device_search_sees_rows_that_are_copied_in_several_pieces) {
  const size_t d = 32, n = 120000, k = 10;  // 15 MB of values and 6 MB of codes
  const Vectors x = Gaussian(n, d, 13), q = Gaussian(2, d, 14);
  DevicePair pair(d, Metric::kL2);
  for (const size_t end : {n / 8, n}) {
    pair.index.Stage(x.data() + pair.index.ntotal() * d, end - pair.index.ntotal());
    pair.index.Commit(2, kNever);
    CHECK(pair.Search(q, k) == SearchIndex(pair.index, q.data(), 2, k, 2));
  }
}

TEST(device_searches_of_several_threads_and_indexes_run_beside_each_other_while_rows_are_added) {
  const size_t d = 48, n = 4000, k = 7;
  const Vectors x = Gaussian(n, d, 15), q = Gaussian(12, d, 16);
  DevicePair first(d, Metric::kL2), second(d, Metric::kInnerProduct);
  for (DevicePair* pair : {&first, &second}) {
    pair->index.Stage(x.data(), n / 2);
    pair->index.Commit(2, kNever);
  }
  const Vectors half = Rows(x, d, 0, n / 2);
  const std::vector<Found> expected[] = {
      {BruteForce(half, q, d, k, Metric::kL2), BruteForce(x, q, d, k, Metric::kL2)},
      {BruteForce(half, q, d, k, Metric::kInnerProduct), BruteForce(x, q, d, k, Metric::kInnerProduct)}};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 4; ++i) {
        const Found found = (t % 2 == 0 ? first : second).Search(q, k);
        if (!(found == expected[t % 2][0]) && !(found == expected[t % 2][1])) ++wrong;
      }
    });
  for (DevicePair* pair : {&first, &second}) {
    pair->index.Stage(x.data() + n / 2 * d, n / 2);
    pair->index.Commit(2, kNever);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(first.Search(q, k) == expected[0][1]);
}

TEST(device_memory_does_not_grow_with_searches) {
#ifdef FLATRANK_TEST_GPU
  const size_t searches = 10000;
#else
  const size_t searches = 20;
#endif
  const size_t d = 32, n = 2000;
  const Vectors x = Gaussian(n, d, 17), q = Gaussian(20, d, 18);
  DevicePair pair(d, Metric::kL2);
  pair.index.Stage(x.data(), n);
  pair.index.Commit(2, kNever);
  const auto free_bytes = [] {
    cuda::DeviceInfo info;
    cuda::Status status;
    flatrank_cuda_library()->find_device(&info, &status);
    Check(status);
    return info.free_bytes;
  };
  pair.Search(q, 30);
  const uint64_t before = free_bytes();
  for (size_t i = 0; i < searches; ++i) pair.Search(Rows(q, d, 0, 1 + i % 20), 1 + i % 30);
  CHECK(free_bytes() == before);
}

#ifndef FLATRANK_TEST_GPU

TEST(device_search_does_not_depend_on_the_order_of_threads) {
  const size_t d = 96, n = 6000;
  const Vectors x = Gaussian(n, d, 9), q = Gaussian(20, d, 10);
  const Found expected = BruteForce(x, q, d, 30, Metric::kL2);
  for (const unsigned order : {1u, 7u}) {
    emulation::order = order;
    DevicePair pair(d, Metric::kL2);
    pair.index.Stage(x.data(), n);
    pair.index.Commit(2, kNever);
    CHECK(pair.Search(q, 30) == expected);
    CHECK(pair.Search(Rows(q, d, 0, 3), 30) == BruteForce(x, Rows(q, d, 0, 3), d, 30, Metric::kL2));
  }
  emulation::order = 0;
}

TEST(device_memory_that_is_full_is_an_error_and_none_is_lost) {
  const size_t d = 32, n = 3000;
  const Vectors x = Gaussian(n, d, 11), q = Gaussian(2, d, 12);
  const Found expected = BruteForce(x, q, d, 5, Metric::kL2);
  const size_t limit = emulation::memory_limit;
  DevicePair pair(d, Metric::kL2), other(d, Metric::kL2);
  for (DevicePair* filled : {&pair, &other}) {
    filled->index.Stage(x.data(), n);
    filled->index.Commit(2, kNever);
  }
  emulation::memory_limit = n * d * sizeof(float);
  bool refused = false;
  try {
    pair.Search(q, 5);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  emulation::memory_limit = limit;
  CHECK(refused);
  CHECK(emulation::allocated == 0);
  CHECK(pair.Search(q, 5) == expected);

  Cancellation cancelled;
  cancelled.Cancel();
  CHECK_THROWS(std::string("ERR_CANCELLED"), pair.Search(q, 5, nullptr, cancelled));
  Vectors bad = q;
  bad[3] = NAN;
  CHECK_THROWS(std::string("ERR_NON_FINITE"), pair.Search(bad, 5));
  const size_t used = emulation::allocated;
  for (int i = 0; i < 3; ++i) pair.Search(q, 5);
  CHECK(emulation::allocated == used);

  // What is kept for later searches makes room.
  pair.Search(Gaussian(64, d, 19), 1000);
  emulation::memory_limit = emulation::allocated.load();
  CHECK(other.Search(q, 5) == expected);
  emulation::memory_limit = limit;
}

#endif

}  // namespace flatrank::test
