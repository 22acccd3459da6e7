// Selections, ranges, removal, mapped files, and the paths that an index's codes take.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>

#include "check.h"
#include "core/error.h"
#include "reference.h"

namespace flatrank::test {

namespace {

// The answer must be the definition's whatever the codes, the number of threads and the batch.
void CheckAgainstDefinition(const Vectors& x, const Vectors& q, size_t d, Metric metric, size_t k,
                            const Selection* selection = nullptr) {
  const size_t nq = q.size() / d;
  const Found expected = BruteForce(x, q, d, k, metric, selection);
  for (const bool coded : {true, false}) {
    TestIndex index(d, metric, coded);
    index.Stage(x.data(), x.size() / d);
    index.Commit(2, kNever);
    for (const int threads : {1, 4}) CHECK(SearchIndex(index, q.data(), nq, k, threads, selection) == expected);
    for (size_t j = 0; j < nq; j += 5) {
      const Found one = SearchIndex(index, q.data() + j * d, 1, k, 2, selection);
      CHECK(std::equal(one.labels.begin(), one.labels.end(),
                       expected.labels.begin() + static_cast<std::ptrdiff_t>(j * k)));
      CHECK(std::equal(one.distances.begin(), one.distances.end(),
                       expected.distances.begin() + static_cast<std::ptrdiff_t>(j * k)));
    }
  }
}

// A file of these bytes behind `padding` zeros, gone with the object.
struct TemporaryFile {
  TemporaryFile(const Vectors& x, size_t padding)
      : path((std::filesystem::temp_directory_path() / ("flatrank-rows-" + std::to_string(std::random_device()())))
                 .string()) {
    std::ofstream file(path, std::ios::binary);
    file << std::string(padding, '\0');
    file.write(reinterpret_cast<const char*>(x.data()), static_cast<std::streamsize>(x.size() * sizeof(float)));
  }
  ~TemporaryFile() { std::remove(path.c_str()); }
  const std::string path;
};

Vectors Without(const Vectors& x, size_t d, const Selection& selection) {
  Vectors left;
  for (size_t i = 0; i < x.size() / d; ++i)
    if (!selection.Has(i))
      left.insert(left.end(), x.begin() + static_cast<std::ptrdiff_t>(i * d),
                  x.begin() + static_cast<std::ptrdiff_t>(i * d + d));
  return left;
}

}  // namespace

TEST(FlatIndexEveryKindInCodesAndWithout) {
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
    for (const std::string& kind : Kinds())
      for (const size_t d : {32, 40, 67}) {
        const Vectors x = Make(kind, 1100, d, 61);
        Vectors q = Make(kind, 30, d, 62);
        std::copy_n(x.begin(), d, q.begin());
        for (const size_t k : {1, 10, 50}) CheckAgainstDefinition(x, q, d, metric, k);
      }
}

TEST(FlatIndexRowsAroundEveryTileEdge) {
  const size_t d = 64;
  for (const size_t n : {255, 256, 257, 271, 272, 273, 511, 512, 513, 527, 1024, 1025})
    for (const size_t nq : {1, 2, 13, 17, 33}) {
      const Vectors x = Gaussian(n, d, 63), q = Gaussian(nq, d, 64);
      CheckAgainstDefinition(x, q, d, Metric::kL2, nq == 1 ? n : 3);
    }
}

TEST(FlatIndexManyDimensions) {
  for (const size_t d : {1, 2, 31, 33, 63, 65, 66, 384, 1536}) {
    const Vectors x = Gaussian(600, d, 65), q = Gaussian(14, d, 66);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) CheckAgainstDefinition(x, q, d, metric, 7);
  }
}

TEST(FlatIndexMoreQueriesThanAPanel) {
  const size_t d = 32;
  const Vectors x = Gaussian(900, d, 67), q = Gaussian(2100, d, 68);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
    CHECK(BruteForce(x, q, d, 5, metric) == [&] {
      TestIndex index(d, metric, true);
      Fill(index, x);
      return SearchIndex(index, q.data(), 2100, 5, 3);
    }());
}

TEST(FlatIndexFallsBackWhereCodesDoNotDecide) {
  // Rows within a shell so thin that no code tells them apart.
  const size_t d = 64, n = 6000;
  Vectors x = Gaussian(n, d, 69);
  for (size_t i = 0; i < n; ++i) {
    const double norm = std::sqrt(kScalarKernels.exact_dot(&x[i * d], &x[i * d], d));
    for (size_t j = 0; j < d; ++j) x[i * d + j] = static_cast<float>(x[i * d + j] / norm * 100);
  }
  const Vectors q = Gaussian(20, d, 70, 1e-3f);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) CheckAgainstDefinition(x, q, d, metric, 10);
}

TEST(FlatIndexSelections) {
  const size_t d = 48, n = 3000;
  const Vectors x = Make("duplicates", n, d, 71), q = Gaussian(9, d, 72);
  std::mt19937 random(73);
  std::vector<bool> half(n), few(n);
  for (size_t i = 0; i < n; ++i) {
    half[i] = random() % 2 == 0;
    few[i] = random() % 100 == 0;
  }
  const std::vector<Selection> selections = {
      Select(n, [](size_t) { return true; }),
      Select(n, [](size_t) { return false; }),
      Select(n, [](size_t i) { return i == 2999; }),
      Select(n, [](size_t i) { return i >= 100 && i < 900; }),
      Select(n, [](size_t i) { return i % 64 < 3; }),
      Select(n, [&](size_t i) { return half[i]; }),
      Select(n, [&](size_t i) { return few[i]; }),
      Select(1000, [](size_t i) { return i > 500; }),  // shorter than the index: what lies behind is out
  };
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
    for (const Selection& selection : selections)
      for (const size_t k : {1, 20, 1000}) CheckAgainstDefinition(x, q, d, metric, k, &selection);
}

TEST(FlatIndexSelectionsOfRowsThatLieApart) {
  // From one row at a time, where a row is long, to as many as the scratch of the most queries holds, where it is
  // short.
  struct Shape {
    size_t n, d, nq;
  };
  for (const std::string kind : {"gaussian", "duplicates", "far near-duplicates", "overflowing"})
    for (const auto& [n, d, nq] : {Shape{2500, 1, 130}, Shape{2500, 8, 300}, Shape{1700, 96, 126}, Shape{900, 97, 64},
                                   Shape{900, 190, 70}, Shape{1100, 384, 3}, Shape{300, 6145, 2}}) {
      const Vectors x = Make(kind, n, d, 91), q = Make(kind, nq, d, 92);
      std::mt19937 random(93);
      const Selection even = Select(n, [](size_t i) { return i % 13 == 5; });
      const Selection few = Select(n, [&](size_t) { return random() % 40 == 0; });
      for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
        for (const bool coded : {true, false}) {
          TestIndex index(d, metric, coded);
          Fill(index, x);
          for (const Selection* selection : {&even, &few})
            for (const size_t k : {size_t{9}, n})
              CHECK(SearchIndex(index, q.data(), nq, k, 3, selection) == BruteForce(x, q, d, k, metric, selection));
        }
    }
}

TEST(FlatIndexSelectionFindsItsRuns) {
  const Selection selection = Select(200, [](size_t i) { return (i >= 60 && i < 70) || i == 128 || i >= 190; });
  CHECK(selection.Count(0, 200) == 21 && selection.Count(65, 129) == 6 && selection.Count(70, 128) == 0);
  CHECK(selection.Next(0, 200) == 60 && selection.NextOut(60, 200) == 70);
  CHECK(selection.Next(70, 200) == 128 && selection.NextOut(128, 200) == 129);
  CHECK(selection.Next(129, 150) == 150 && selection.NextOut(190, 200) == 200);
  CHECK(selection.Next(200, 1000) == 1000 && selection.NextOut(200, 1000) == 200 && !selection.Has(5000));
}

TEST(FlatIndexRangeSearchIsTheDefinition) {
  const size_t d = 40, n = 2000;
  for (const std::string kind : {"gaussian", "duplicates", "far near-duplicates", "overflowing"})
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
      for (const bool coded : {true, false}) {
        const Vectors x = Make(kind, n, d, 74), q = Make(kind, 5, d, 75);
        TestIndex index(d, metric, coded);
        Fill(index, x);
        const Selection odd = Select(n, [](size_t i) { return i % 2 == 1; });
        const Selection apart = Select(n, [](size_t i) { return i % 29 == 1; });
        for (const Selection* selection : {static_cast<const Selection*>(nullptr), &odd, &apart}) {
          const Found all = BruteForce(x, q, d, n, metric, selection);
          // A radius that is some row's own distance excludes that row.
          for (const size_t rank : {size_t{0}, size_t{1}, n / 10, n / 2 - 1}) {
            if (all.labels[rank] < 0) continue;
            const double radius = KeyOf(&x[static_cast<size_t>(all.labels[rank]) * d], q.data(), d, metric) *
                                  (metric == Metric::kL2 ? 1 : -1);
            const RangeResult found =
                RangeSearch(index.TakeSnapshot(), index.space(), q.data(), 5, radius, {selection, 2}, kNever);
            CHECK(found.limits.size() == 6 && found.limits[5] == found.labels.size());
            for (size_t j = 0; j < 5; ++j) {
              size_t inside = 0;
              for (; inside < n && all.labels[j * n + inside] >= 0; ++inside) {
                const double key = KeyOf(&x[static_cast<size_t>(all.labels[j * n + inside]) * d], &q[j * d], d, metric);
                if (!(key < radius * (metric == Metric::kL2 ? 1 : -1))) break;
              }
              CHECK(found.limits[j + 1] - found.limits[j] == inside);
              for (size_t i = 0; i < inside; ++i) {
                CHECK(found.labels[found.limits[j] + i] == all.labels[j * n + i]);
                CHECK(found.distances[found.limits[j] + i] == all.distances[j * n + i]);
              }
            }
          }
        }
      }
}

TEST(FlatIndexRemoveMovesRowsUp) {
  const size_t d = 33, n = 5000;
  std::mt19937 random(76);
  for (const bool coded : {true, false}) {
    Vectors x = Gaussian(n, d, 77);
    const Vectors q = Gaussian(7, d, 78);
    TestIndex index(d, Metric::kL2, coded);
    Fill(index, x);
    for (int round = 0; round < 12; ++round) {
      const size_t rows = x.size() / d, one = random() % rows;
      const Snapshot before = index.TakeSnapshot();
      const Selection gone = round % 3 == 0   ? Select(rows, [&](size_t i) { return i == one; })
                             : round % 3 == 1 ? Select(rows, [&](size_t i) { return i >= one && i < one + 200; })
                                              : Select(rows, [&](size_t) { return random() % 5 == 0; });
      const size_t expected = gone.Count(0, rows);
      CHECK(index.Remove(gone, 2, kNever) == expected);
      x = Without(x, d, gone);
      CHECK(index.ntotal() == x.size() / d && before.rows == rows);  // what a search has taken stays
      CHECK(SearchIndex(index, q.data(), 7, 20, 2) == BruteForce(x, q, d, 20, Metric::kL2));
      const Vectors more = Gaussian(random() % 50, d, static_cast<unsigned>(random()));
      x.insert(x.end(), more.begin(), more.end());
      index.Stage(more.data(), more.size() / d);
      index.Commit(2, kNever);
      CHECK(SearchIndex(index, q.data(), 7, 20, 2) == BruteForce(x, q, d, 20, Metric::kL2));
    }
    CHECK(index.Remove(Select(x.size() / d, [](size_t) { return true; }), 2, kNever) == x.size() / d);
    CHECK(index.ntotal() == 0 && index.memory_bytes() == 0);
  }
}

TEST(FlatIndexRemoveThatIsCancelledChangesNothing) {
  const size_t d = 32;
  const Vectors x = Gaussian(1000, d, 79);
  TestIndex index(d, Metric::kL2, true);
  Fill(index, x);
  Cancellation cancelled;
  cancelled.Cancel();
  CHECK_THROWS("ERR_CANCELLED", index.Remove(Select(1000, [](size_t i) { return i < 10; }), 2, cancelled));
  CHECK(index.ntotal() == 1000);
  CHECK(SearchIndex(index, x.data(), 3, 5, 2) ==
        BruteForce(x, Vectors(x.begin(), x.begin() + 3 * d), d, 5, Metric::kL2));
}

TEST(FlatIndexMapsRowsOfFiles) {
  const size_t d = 48, n = 1500;
  const Vectors x = Gaussian(n, d, 80), q = Gaussian(20, d, 81);
  for (const size_t padding : {size_t{0}, size_t{45}, size_t{64}, size_t{4}})
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
      for (const bool coded : {true, false}) {
        const TemporaryFile file(x, padding);
        TestIndex index(d, metric, coded);
        index.StageMapped(file.path, padding, n);
        index.Commit(2, kNever);
        CHECK(index.memory_bytes() < n * (d + 64) + 4096 && index.memory_bytes() >= n * 8);
        CHECK(SearchIndex(index, q.data(), 20, 10, 2) == BruteForce(x, q, d, 10, metric));
        const Selection apart = Select(n, [](size_t i) { return i % 17 == 3; });
        CHECK(SearchIndex(index, q.data(), 20, 10, 2, &apart) == BruteForce(x, q, d, 10, metric, &apart));
        Fill(index, q);  // rows in memory behind the mapped ones
        Vectors both = x;
        both.insert(both.end(), q.begin(), q.end());
        CHECK(SearchIndex(index, q.data(), 20, 10, 2) == BruteForce(both, q, d, 10, metric));
        const Selection some = Select(both.size() / d, [](size_t i) { return i % 7 == 0; });
        index.Remove(some, 2, kNever);
        CHECK(SearchIndex(index, q.data(), 20, 10, 2) == BruteForce(Without(both, d, some), q, d, 10, metric));
      }
}

TEST(FlatIndexRefusesFilesThatEndBeforeTheirRows) {
  const size_t d = 8;
  const Vectors x = Gaussian(100, d, 82);
  const TemporaryFile file(x, 0);
  TestIndex index(d, Metric::kL2, true);
  CHECK_THROWS("ERR_BAD_FILE", index.StageMapped(file.path, 0, 101));
  CHECK_THROWS("ERR_BAD_FILE", index.StageMapped(file.path, 1, 100));
  CHECK_THROWS("ERR_BAD_FILE", index.StageMapped(file.path, uint64_t{1} << 60, 1));
  CHECK_THROWS("ERR_BAD_FILE", index.StageMapped(file.path, 0, size_t{1} << 30));
  CHECK_THROWS("ERR_NOT_FOUND", index.StageMapped(file.path + "-not", 0, 1));
  Vectors bad = x;
  bad[42 * d + 3] = std::numeric_limits<float>::quiet_NaN();
  const TemporaryFile second(bad, 0);
  index.StageMapped(second.path, 0, 100);
  CHECK_THROWS("ERR_NON_FINITE", index.Commit(2, kNever));
  index.Rollback();
  CHECK(index.ntotal() == 0);
}

}  // namespace flatrank::test
