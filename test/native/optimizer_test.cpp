#include "optimizer/optimizer.h"

#include <cmath>

#include "check.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "data.h"
#include "kernels/kernels.h"
#include "optimizer/adamw_kernel.h"
#include "optimizer/dropout.h"

namespace flatrank::test {

namespace {

struct State {
  Vectors w, g, m, v;
};

State MakeState(size_t n, unsigned seed) {
  State s{Gaussian(n, 1, seed), Gaussian(n, 1, seed + 1), Gaussian(n, 1, seed + 2, 0.1f),
          Gaussian(n, 1, seed + 3, 0.1f)};
  for (float& value : s.v) value *= value;
  return s;
}

const AdamWStep kStep{1e-3, 0.9, 0.999, 1e-8, 3, 0.5};

}  // namespace

TEST(AdamWByHand) {
  // The first step from zero moments moves by learning_rate * sign(g), up to epsilon, after decay.
  Vectors w = {1, -2}, m(2), v(2);
  const Vectors g = {0.5f, -4};
  AdamW({{w.data(), g.data(), m.data(), v.data(), 2, 0.1}}, {0.01, 0.9, 0.999, 1e-8, 1, 1}, 1);
  CHECK(std::abs(w[0] - (1 * (1 - 0.001f) - 0.01f)) < 1e-6f && std::abs(w[1] - (-2 * (1 - 0.001f) + 0.01f)) < 1e-6f);
  CHECK(std::abs(m[0] - 0.05f) < 1e-8f && std::abs(v[1] - 0.016f) < 1e-8f);
}

TEST(AdamWIsTheSameBitsInEveryInstructionSet) {
  const AdamWFactors f{0.37f, 0.9999f, 0.1f, 0.999f, 0.001f, 0.05f, 1e-8f, 0.003f};
  for (size_t n = 0; n < 70; ++n) {
    State a = MakeState(n + 1, 5), b = a;
    AdamWScalar(a.w.data() + 1, a.g.data() + 1, a.m.data() + 1, a.v.data() + 1, n, f);
    ActiveAdamW()(b.w.data() + 1, b.g.data() + 1, b.m.data() + 1, b.v.data() + 1, n, f);
    CHECK(a.w == b.w && a.m == b.m && a.v == b.v);
  }
}

TEST(AdamWDoesNotDependOnThreads) {
  const size_t n = 1'000'003;
  State one = MakeState(n, 9), many = one;
  for (const auto& [s, threads] : {std::pair{&one, 1}, std::pair{&many, 4}})
    AdamW({{s->w.data(), s->g.data(), s->m.data(), s->v.data(), n - 7, 0.01},
           {s->w.data() + n - 7, s->g.data() + n - 7, s->m.data() + n - 7, s->v.data() + n - 7, 7, 0}},
          kStep, threads);
  CHECK(one.w == many.w && one.m == many.m && one.v == many.v);
}

TEST(GlobalNormIsTheNormOfAllValues) {
  Vectors a = {3, 0}, b = {4}, large = Gaussian(300'001, 1, 4);
  CHECK(GlobalNorm({{a.data(), 2}, {b.data(), 1}}, 2) == 5);
  CHECK(GlobalNorm({}, 2) == 0);
  double sum = 0;
  for (const float value : large) sum += static_cast<double>(value) * static_cast<double>(value);
  const double norm = GlobalNorm({{large.data(), large.size()}}, 4);
  CHECK(std::abs(norm - std::sqrt(sum)) < 1e-9 * norm);
  CHECK(norm == GlobalNorm({{large.data(), large.size()}}, 1));
}

TEST(AccumulateAddsInPlace) {
  Vectors a = Integers(200'000, 1, 1), b = Integers(200'000, 1, 2), expected = a;
  for (size_t i = 0; i < a.size(); ++i) expected[i] += b[i];
  Accumulate({{a.data(), a.size()}}, {{b.data(), b.size()}}, 4);
  CHECK(a == expected);
}

TEST(ScatterAddRowsAddsInTheirOrder) {
  const size_t cols = 200, n = 1000;
  const Vectors rows = Gaussian(n, cols, 3);
  std::vector<int32_t> ids(n);
  for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>(i * i % 7);
  Vectors expected(7 * cols), one(7 * cols), many(7 * cols);
  for (size_t i = 0; i < n; ++i)
    for (size_t c = 0; c < cols; ++c)
      if (ids[i] != 2) expected[static_cast<size_t>(ids[i]) * cols + c] += rows[i * cols + c];
  ScatterAddRows(one.data(), 7, cols, rows.data(), ids.data(), n, 2, 1);
  ScatterAddRows(many.data(), 7, cols, rows.data(), ids.data(), n, 2, 4);
  CHECK(one == expected && many == expected);
}

TEST(ScatterAddRowsRefusesIdsOutside) {
  const Vectors rows(4), before(4);
  for (const int32_t bad : {-1, 2, 2147483647}) {
    Vectors table(4);
    const std::vector<int32_t> ids = {0, bad};
    CHECK_THROWS("ERR_INVALID_ARGUMENT", ScatterAddRows(table.data(), 2, 2, rows.data(), ids.data(), 2, -1, 1));
    CHECK(table == before);
  }
}

TEST(DropoutMasksAreAFunctionOfTheirKey) {
  const size_t n = 1'000'001;
  std::vector<uint8_t> a(n), b(n), c(n);
  DropoutMask(DropoutKey(1, 2, 3), 0.1, a.data(), n, 1);
  DropoutMask(DropoutKey(1, 2, 3), 0.1, b.data(), n, 4);
  CHECK(a == b);
  size_t kept = 0, equal = 0, pairs = 0;
  for (size_t i = 0; i < n; ++i) kept += a[i];
  // Ten standard deviations of a binomial distribution.
  CHECK(std::abs(static_cast<double>(kept) - 0.9 * n) < 10 * std::sqrt(0.09 * n));
  for (const auto& key : {DropoutKey(2, 2, 3), DropoutKey(1, 3, 3), DropoutKey(1, 2, 4)}) {
    DropoutMask(key, 0.1, c.data(), n, 4);
    equal = pairs = 0;
    for (size_t i = 0; i < n; ++i) {
      equal += a[i] == c[i];
      pairs += a[i] == 0 && c[i] == 0;
    }
    CHECK(std::abs(static_cast<double>(equal) - 0.82 * n) < 10 * std::sqrt(0.1476 * n));
    CHECK(std::abs(static_cast<double>(pairs) - 0.01 * n) < 10 * std::sqrt(0.0099 * n));
  }
  // Neighbours are independent, too.
  size_t both = 0;
  for (size_t i = 1; i < n; ++i) both += a[i] == 0 && a[i - 1] == 0;
  CHECK(std::abs(static_cast<double>(both) - 0.01 * n) < 10 * std::sqrt(0.0099 * n));
}

TEST(DropoutMasksOfEveryLength) {
  std::vector<uint8_t> whole(100);
  DropoutMask(7, 0.5, whole.data(), whole.size(), 1);
  for (size_t n = 0; n < 100; ++n) {
    std::vector<uint8_t> part(n + 1, 9);
    DropoutMask(7, 0.5, part.data(), n, 1);
    CHECK(std::equal(part.begin(), part.end() - 1, whole.begin()) && part.back() == 9);
  }
}

}  // namespace flatrank::test
