#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
#include "data.h"
#include "index/bounds.h"
#include "kernels/kernels.h"

namespace flatrank::test {

namespace {

std::vector<const Kernels*> Available() {
  std::vector<const Kernels*> tables;
  for (const char* name : {"scalar", "avx2", "avx512", "neon"})
    if (const Kernels* table = KernelsNamed(name)) tables.push_back(table);
  return tables;
}

// Every shape around the tiles' edges, from a pointer that is aligned to nothing.
template <typename Body>
void ForShapes(Body body) {
  for (size_t d : {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 48, 100})
    for (size_t rows : {1, 3, 4, 5, 9})
      for (size_t nq : {1, 2, 3, 4, 6, 7, 13}) body(d, rows, nq);
}

}  // namespace

TEST(KernelsTilesOfIntegersEqualTheReference) {
  for (const Kernels* table : Available())
    ForShapes([&](size_t d, size_t rows, size_t nq) {
      const Vectors x = Integers(rows + 1, d, 1), q = Integers(nq + 1, d, 2);
      const size_t ld = rows + 3;
      for (const bool difference : {false, true}) {
        std::vector<float> expected(nq * ld, -1), actual(nq * ld, -1);
        const auto tile = [&](const Kernels& k) { return difference ? k.l2_tile : k.dot_tile; };
        tile(kScalarKernels)(x.data() + 1, rows, q.data() + 1, nq, d, expected.data(), ld);
        tile (*table)(x.data() + 1, rows, q.data() + 1, nq, d, actual.data(), ld);
        CHECK(expected == actual);  // what lies between the tile's rows and ld is untouched, too
      }
    });
}

TEST(KernelsExactSumsAreTheSameBitsEverywhere) {
  for (const Kernels* table : Available())
    for (const std::string& kind : Kinds())
      for (size_t d = 1; d < 70; ++d) {
        const Vectors x = Make(kind, 2, d, 3), q = Make(kind, 2, d, 4);
        CHECK(table->exact_dot(x.data() + 1, q.data(), d) == kScalarKernels.exact_dot(x.data() + 1, q.data(), d));
        CHECK(table->exact_l2(x.data() + 1, q.data(), d) == kScalarKernels.exact_l2(x.data() + 1, q.data(), d));
      }
}

TEST(KernelsScanStaysWithinItsBounds) {
  for (const Kernels* table : Available())
    for (const std::string& kind : Kinds()) {
      if (kind == "overflowing") continue;  // the scan is not used there
      for (size_t d : {1, 3, 8, 48, 100, 768}) {
        const Vectors x = Make(kind, 4, d, 5), q = Make(kind, 4, d, 6);
        const ScanError error(d, table->lanes);
        float dots[16], differences[16];
        table->dot_tile(x.data(), 4, q.data(), 4, d, dots, 4);
        table->l2_tile(x.data(), 4, q.data(), 4, d, differences, 4);
        for (size_t j = 0; j < 4; ++j)
          for (size_t r = 0; r < 4; ++r) {
            const float *row = x.data() + r * d, *query = q.data() + j * d;
            const double norms =
                std::sqrt(table->exact_dot(row, row, d)) * std::sqrt(table->exact_dot(query, query, d));
            const double dot = table->exact_dot(row, query, d), l2 = table->exact_l2(row, query, d);
            const double s = static_cast<double>(dots[j * 4 + r]), t = static_cast<double>(differences[j * 4 + r]);
            CHECK(std::abs(s - dot) <= error.dot_error * norms + error.tiny);
            CHECK(t / (1 + error.difference_error) - error.tiny <= l2);
            CHECK(t / (1 - error.difference_error) + error.tiny >= l2);
          }
      }
    }
}

TEST(KernelsSelectKeepsWhatTheRuleDoesNotExclude) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Kernels* table : Available())
    for (size_t rows = 1; rows < 70; ++rows) {
      Vectors key = Integers(1, rows, 8);
      const Vectors norm2 = Integers(1, rows, 9), norm = Integers(1, rows, 10);
      if (rows > 3) key[rows - 2] = nan;
      for (const SelectRule rule : {SelectRule{-2, 1, 3, 0}, SelectRule{1, 0, 0, -9}, SelectRule{1, 0, 0, 9}}) {
        std::vector<uint32_t> expected(rows), actual(rows);
        expected.resize(kScalarKernels.select(key.data(), norm2.data(), norm.data(), rows, rule, expected.data()));
        actual.resize(table->select(key.data(), norm2.data(), norm.data(), rows, rule, actual.data()));
        CHECK(expected == actual);
        if (rows > 3) CHECK(std::find(actual.begin(), actual.end(), rows - 2) != actual.end());
      }
    }
}

TEST(KernelsCountBits) {
  std::mt19937_64 random(3);
  for (const Kernels* table : Available())
    for (size_t n : {0, 1, 7, 64, 129}) {
      std::vector<uint64_t> words(n);
      size_t expected = 0;
      for (uint64_t& word : words) {
        word = random() & random();
        for (int bit = 0; bit < 64; ++bit) expected += (word >> bit) & 1;
      }
      CHECK(table->count_bits(words.data(), n) == expected);
    }
}

TEST(KernelsFindTheFirstNonFinite) {
  for (const Kernels* table : Available())
    for (size_t n : {1, 255, 256, 257, 1000}) {
      Vectors x = Gaussian(1, n, 11);
      CHECK(table->first_non_finite(x.data(), n) == n);
      for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        x[n - 1] = bad;
        CHECK(table->first_non_finite(x.data(), n) == n - 1);
        x[n / 2] = bad;
        CHECK(table->first_non_finite(x.data(), n) == n / 2);
        x[n / 2] = 1;
      }
    }
}

TEST(KernelsElementwiseLoopsAreTheSameBitsEverywhere) {
  for (const Kernels* table : Available())
    for (size_t n : {1, 7, 8, 33, 384}) {
      const Vectors x = Gaussian(1, n, 12);
      Vectors expected = Gaussian(1, n, 13), actual = expected;
      for (const Kernels* k : {&kScalarKernels, table}) {
        Vectors& acc = k == &kScalarKernels ? expected : actual;
        k->add(acc.data(), x.data(), n);
        k->divide(acc.data(), 3, n);
        k->max(acc.data(), x.data(), n);
        if (table == &kScalarKernels) actual = expected;
      }
      CHECK(expected == actual);
    }
}

}  // namespace flatrank::test
