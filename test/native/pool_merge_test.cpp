#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "check.h"
#include "data.h"
#include "merge/merge.h"
#include "pool/pooling.h"

namespace flatrank::test {

namespace {

const Cancellation kNever;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST(PoolModesByHand) {
  // Two texts, of 3 and 1 tokens, in a batch padded to 3 with rows that must not be read.
  const Vectors hidden = {1, -2, 3, 4, 5, -9, 6, 8, 99, 99, 99, 99};
  const std::vector<int32_t> offsets = {0, 3}, lengths = {3, 1};
  const TokenVectors tokens{hidden.data(), 6, 2, offsets.data(), lengths.data(), 2};
  std::vector<float> out(4);
  const auto pool = [&](Pooling mode, bool normalize) {
    Pool(tokens, mode, normalize, 2, kNever, out.data());
    return out;
  };
  CHECK(pool(Pooling::kMean, false) == std::vector<float>({3, -7.0f / 3, 6, 8}));
  CHECK(pool(Pooling::kCls, false) == std::vector<float>({1, -2, 6, 8}));
  CHECK(pool(Pooling::kMax, false) == std::vector<float>({5, 4, 6, 8}));
  CHECK(pool(Pooling::kMeanSqrtLen, false) == std::vector<float>({9 / std::sqrt(3.0f), -7 / std::sqrt(3.0f), 6, 8}));
  pool(Pooling::kMean, true);
  CHECK(out[2] == 0.6f && out[3] == 0.8f);
}

TEST(PoolTextsWithoutTokensAndZeroVectors) {
  const Vectors hidden = {0, 0};
  const std::vector<int32_t> offsets = {0, 1}, lengths = {1, 0};
  std::vector<float> out(4, 7);
  Pool({hidden.data(), 1, 2, offsets.data(), lengths.data(), 2}, Pooling::kMean, true, 1, kNever, out.data());
  CHECK(out == std::vector<float>(4));
}

TEST(PoolRefusesRowsOutside) {
  const Vectors hidden(6);
  std::vector<float> out(2);
  for (const auto& [offset, length] :
       std::vector<std::pair<int32_t, int32_t>>{{-1, 1}, {0, 4}, {3, 1}, {0, -1}, {2147483647, 2147483647}})
    CHECK_THROWS("ERR_INVALID_ARGUMENT",
                 Pool({hidden.data(), 3, 2, &offset, &length, 1}, Pooling::kMean, false, 1, kNever, out.data()));
}

TEST(PoolDoesNotDependOnThreads) {
  const size_t n = 40, length = 64, d = 96;
  const Vectors hidden = Gaussian(n * length, d, 31);
  std::vector<int32_t> offsets, lengths;
  for (size_t i = 0; i < n; ++i) {
    offsets.push_back(static_cast<int32_t>(i * length));
    lengths.push_back(static_cast<int32_t>(1 + i));
  }
  const TokenVectors tokens{hidden.data(), n * length, d, offsets.data(), lengths.data(), n};
  for (const Pooling mode : {Pooling::kMean, Pooling::kCls, Pooling::kMax, Pooling::kMeanSqrtLen}) {
    std::vector<float> one(n * d), many(n * d);
    Pool(tokens, mode, true, 1, kNever, one.data());
    Pool(tokens, mode, true, 8, kNever, many.data());
    CHECK(one == many);
  }
}

TEST(MergeShardsByHand) {
  const std::vector<float> a = {1, 3, 2, kInfinity}, b = {1, 2, 2, 3};
  const std::vector<int32_t> la = {5, 1, 0, -1}, lb = {0, 1, 0, 7};
  for (const bool descending : {false, true}) {
    std::vector<float> sa = a, sb = b;
    if (descending)
      for (auto* s : {&sa, &sb})
        for (float& v : *s) v = -v;
    std::vector<float> distances(6);
    std::vector<int32_t> labels(6);
    MergeShards({{sa.data(), la.data(), 2, 0}, {sb.data(), lb.data(), 2, 10}}, 2, 3, descending, 2, kNever,
                distances.data(), labels.data());
    CHECK(labels == std::vector<int32_t>({5, 10, 11, 0, 10, 17}));
    CHECK(distances[0] == (descending ? -1 : 1) && distances[5] == (descending ? -3 : 3));
  }
}

TEST(MergeShardsPadsAndRefuses) {
  std::vector<float> distances(3);
  std::vector<int32_t> labels(3);
  MergeShards({}, 1, 3, true, 1, kNever, distances.data(), labels.data());
  CHECK(labels == std::vector<int32_t>({-1, -1, -1}) && distances[2] == -kInfinity);
  const float nan = std::numeric_limits<float>::quiet_NaN(), one = 1;
  const int32_t label = 2147483647;
  CHECK_THROWS("ERR_NON_FINITE",
               MergeShards({{&nan, &label, 1, 0}}, 1, 3, false, 1, kNever, distances.data(), labels.data()));
  CHECK_THROWS("ERR_INVALID_ARGUMENT",
               MergeShards({{&one, &label, 1, 1}}, 1, 3, false, 1, kNever, distances.data(), labels.data()));
}

TEST(MergeRerankByHand) {
  // Query 0: ties take the lower id, 4 stands twice; query 1 has no candidates; query 2 has more than k.
  const std::vector<int32_t> candidates = {4, 9, 2, 4, 1, 2, 3, 4}, offsets = {0, 4, 4, 8};
  const std::vector<float> relevance = {0.5f, 1, 1, 3, 1, 2, 3, 4};
  std::vector<float> scores(9);
  std::vector<int32_t> labels(9);
  MergeRerank({candidates.data(), relevance.data(), offsets.data(), 8, 3}, 3, 2, kNever, scores.data(), labels.data());
  CHECK(labels == std::vector<int32_t>({4, 2, 9, -1, -1, -1, 4, 3, 2}));
  CHECK(scores == std::vector<float>({3, 1, 1, -kInfinity, -kInfinity, -kInfinity, 4, 3, 2}));
}

TEST(MergeRerankIsTheDefinitionOnRandomLists) {
  std::mt19937 generator(32);
  for (const int32_t distinct : {3, 20, 1000})
    for (const size_t k : {size_t{1}, size_t{5}, size_t{60}}) {
      const size_t n = 50;
      std::vector<int32_t> candidates;
      std::map<int32_t, float> best;
      const Vectors relevance = Integers(n, 1, static_cast<unsigned>(distinct));
      for (size_t i = 0; i < n; ++i) {
        candidates.push_back(std::uniform_int_distribution<int32_t>(0, distinct)(generator));
        const auto known = best.try_emplace(candidates[i], relevance[i]).first;
        known->second = std::max(known->second, relevance[i]);
      }
      std::vector<std::pair<float, int32_t>> expected;
      for (const auto& [label, score] : best) expected.emplace_back(-score, label);
      std::sort(expected.begin(), expected.end());
      expected.resize(k, {kInfinity, -1});
      const std::vector<int32_t> offsets = {0, static_cast<int32_t>(n)};
      std::vector<float> scores(k);
      std::vector<int32_t> labels(k);
      MergeRerank({candidates.data(), relevance.data(), offsets.data(), n, 1}, k, 1, kNever, scores.data(),
                  labels.data());
      for (size_t i = 0; i < k; ++i) CHECK(labels[i] == expected[i].second && scores[i] == -expected[i].first);
    }
}

TEST(MergeRerankRefusesBadOffsetsAndNaN) {
  const std::vector<int32_t> candidates = {1, 2};
  std::vector<float> relevance = {1, 2}, scores(2);
  std::vector<int32_t> labels(2);
  for (const std::vector<int32_t>& offsets : {std::vector<int32_t>{0, 3}, {1, 2}, {0, 2, 1}, {0, -5, 2}})
    CHECK_THROWS("ERR_INVALID_ARGUMENT",
                 MergeRerank({candidates.data(), relevance.data(), offsets.data(), 2, offsets.size() - 1}, 1, 1, kNever,
                             scores.data(), labels.data()));
  relevance[1] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<int32_t> offsets = {0, 2};
  CHECK_THROWS("ERR_NON_FINITE", MergeRerank({candidates.data(), relevance.data(), offsets.data(), 2, 1}, 1, 1, kNever,
                                             scores.data(), labels.data()));
}

}  // namespace flatrank::test
