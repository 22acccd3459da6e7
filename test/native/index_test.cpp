#include "index/flat_index.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>

#include "check.h"
#include "core/thread_pool.h"
#include "reference.h"

namespace flatrank::test {

TEST(IndexSearchIsTheDefinition) {
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
    for (const std::string& kind : Kinds())
      for (const auto& [d, n] : std::vector<std::pair<size_t, size_t>>{{1, 50}, {3, 1}, {17, 700}, {48, 2500}}) {
        const Vectors x = Make(kind, n, d, 21);
        Vectors q = Make(kind, 9, d, 22);
        std::copy_n(x.begin(), d, q.begin());  // one query is a row
        TestIndex index(d, metric, true);
        Fill(index, x);
        CHECK(index.ntotal() == n);
        for (const size_t k : {size_t{1}, size_t{10}, n + 3}) {
          const Found expected = BruteForce(x, q, d, k, metric);
          for (const int threads : {1, 3}) {
            CHECK(SearchIndex(index, q.data(), 9, k, threads) == expected);
            for (size_t j = 0; j < 9; ++j) {  // one at a time is the same as all at once
              const Found one = SearchIndex(index, q.data() + j * d, 1, k, threads);
              CHECK(std::equal(one.labels.begin(), one.labels.end(),
                               expected.labels.begin() + static_cast<std::ptrdiff_t>(j * k)));
              CHECK(std::equal(one.distances.begin(), one.distances.end(),
                               expected.distances.begin() + static_cast<std::ptrdiff_t>(j * k)));
            }
          }
        }
      }
}

TEST(IndexSearchOfManyQueriesInPanels) {
  for (const std::string kind : {"gaussian", "far near-duplicates", "duplicates"}) {
    const size_t d = 40, n = 3000, nq = 300;
    const Vectors x = Make(kind, n, d, 23), q = Make(kind, nq, d, 24);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      TestIndex index(d, metric, true);
      Fill(index, x);
      CHECK(SearchIndex(index, q.data(), nq, 100, 2) == BruteForce(x, q, d, 100, metric));
    }
  }
}

TEST(IndexMixedScalesInOneIndex) {
  // One row beyond the scan's range sends every row through the exact path; the answer stays the same.
  const size_t d = 16, n = 500;
  Vectors x = Gaussian(n, d, 25);
  const Vectors q = Gaussian(5, d, 26);
  std::fill_n(x.begin() + 100 * d, d, 3e38f);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    TestIndex index(d, metric, true);
    Fill(index, x);
    CHECK(SearchIndex(index, q.data(), 5, n, 2) == BruteForce(x, q, d, n, metric));
  }
}

TEST(IndexStagedRowsAreInvisibleUntilCommitted) {
  const size_t d = 4;
  const Vectors x = Gaussian(10, d, 27);
  TestIndex index(d, Metric::kL2, true);
  index.Stage(x.data(), 10);
  CHECK(index.ntotal() == 0);
  CHECK(SearchIndex(index, x.data(), 1, 1, 1).labels[0] == -1);
  index.Rollback();
  index.Stage(x.data() + d, 9);
  index.Commit(1, kNever);
  CHECK(index.ntotal() == 9);
  CHECK(SearchIndex(index, x.data() + d, 1, 1, 1).labels[0] == 0);
}

TEST(IndexRefusesNonFiniteRowsAndNamesTheFirst) {
  const size_t d = 8, n = 5000;
  Vectors x = Gaussian(n, d, 28);
  x[4000 * d + 3] = std::numeric_limits<float>::infinity();
  x[3000 * d + 5] = std::numeric_limits<float>::quiet_NaN();
  TestIndex index(d, Metric::kL2, true);
  index.Stage(x.data(), n);
  std::string message;
  try {
    index.Commit(2, kNever);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message.find("NaN at row 3000, column 5") != std::string::npos);
  index.Rollback();
  CHECK(index.ntotal() == 0);
  std::vector<float> distances(1);
  std::vector<int32_t> labels(1);
  CHECK_THROWS("ERR_NON_FINITE", Search(index.TakeSnapshot(), index.space(), x.data() + 3000 * d, 1, 1, {}, kNever,
                                        distances.data(), labels.data()));
}

TEST(IndexRefusesImpossibleDimensions) {
  CHECK_THROWS("ERR_INVALID_ARGUMENT", FlatIndex(0, Metric::kL2, true));
  CHECK_THROWS("ERR_INVALID_ARGUMENT", FlatIndex(FlatIndex::kMaxDimension + 1, Metric::kL2, true));
}

TEST(IndexCancelledWorkStops) {
  const size_t d = 8, n = 5000;
  const Vectors x = Gaussian(n, d, 29);
  TestIndex index(d, Metric::kL2, true);
  Cancellation cancelled;
  cancelled.Cancel();
  index.Stage(x.data(), n);
  CHECK_THROWS("ERR_CANCELLED", index.Commit(2, cancelled));
  index.Rollback();
  Fill(index, x);
  std::vector<float> distances(10);
  std::vector<int32_t> labels(10);
  CHECK_THROWS("ERR_CANCELLED", Search(index.TakeSnapshot(), index.space(), x.data(), 1, 10, {nullptr, 2}, cancelled,
                                       distances.data(), labels.data()));
}

TEST(IndexSearchesSeeWholeAdditionsWhileRowsAreAdded) {
  // Every addition is ten equal rows; a search that sees some of them must see all ten.
  const size_t d = 12, additions = 150, group = 10;
  TestIndex index(d, Metric::kL2, true);
  std::atomic<bool> done{false};
  std::atomic<size_t> searches{0};
  const auto search = [&] {
    const Vectors q(d, 1);
    while (!done || searches < 20) {
      const size_t before = index.ntotal();
      const Snapshot snapshot = index.TakeSnapshot();
      CHECK(snapshot.rows >= before && snapshot.rows % group == 0);
      const size_t k = additions * group;
      std::vector<float> distances(k);
      std::vector<int32_t> labels(k);
      Search(snapshot, index.space(), q.data(), 1, k, {nullptr, 2}, kNever, distances.data(), labels.data());
      CHECK(std::count_if(labels.begin(), labels.end(), [](int32_t l) { return l >= 0; }) ==
            static_cast<std::ptrdiff_t>(snapshot.rows));
      ++searches;
    }
  };
  std::thread first(search), second(search);
  for (size_t i = 0; i < additions; ++i) {
    const Vectors rows(group * d, static_cast<float>(i));
    index.Stage(rows.data(), group);
    if (i % 7 == 3) {  // some are taken back
      index.Rollback();
      index.Stage(rows.data(), group);
    }
    index.Commit(2, kNever);
  }
  done = true;
  first.join();
  second.join();
  CHECK(index.ntotal() == additions * group);
}

TEST(IndexResetLeavesRunningSnapshotsAlone) {
  const size_t d = 8;
  const Vectors x = Gaussian(100, d, 30);
  TestIndex index(d, Metric::kL2, true);
  Fill(index, x);
  const Snapshot snapshot = index.TakeSnapshot();
  index.Reset();
  CHECK(index.ntotal() == 0);
  std::vector<float> distances(1);
  std::vector<int32_t> labels(1);
  Search(snapshot, index.space(), x.data() + 42 * d, 1, 1, {}, kNever, distances.data(), labels.data());
  CHECK(labels[0] == 42 && distances[0] == 0);
  Fill(index, x);
  CHECK(index.ntotal() == 100);
}

}  // namespace flatrank::test
