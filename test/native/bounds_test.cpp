// The bounds of both scans: that they hold, on data of every kind, and that they are needed, on data made to reach
// them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "check.h"
#include "index/fp32_scan.h"
#include "index/int8_scan.h"
#include "reference.h"

namespace flatrank::test {

namespace {

// One block with codes around `centre`, and the snapshot of it. 32 or more rows, a multiple of 16.
struct OneBlock {
  OneBlock(const CodeSpace& space, const Vectors& x, const Vectors& centre) {
    const size_t d = space.dimension, n = x.size() / d;
    const double fp64_error = space.error.scan.fp64_error;
    auto block = std::make_shared<Block>(n, d);
    std::copy(x.begin(), x.end(), block->rows_to_write());
    Part part;
    for (size_t i = 0; i < n; ++i) {
      const double norm2 = kScalarKernels.exact_dot(&x[i * d], &x[i * d], d);
      block->norm2_low.data()[i] = RoundDown(norm2 * (1 - fp64_error));
      block->norm_high.data()[i] = RoundUp(std::sqrt(norm2 * (1 + fp64_error)) * (1 + fp64_error));
      part.max_norm2 = std::max(part.max_norm2, norm2 * (1 + fp64_error));
    }
    block->codes = std::make_unique<BlockCodes>(space, n, centre);
    for (size_t panel = 0; panel < n / kPanelRows; ++panel)
      part.stats.Include(
          block->codes->Encode(space, panel, &x[panel * kPanelRows * d], block->norm_high.data() + panel * kPanelRows));
    part.rows = part.coded = n;
    part.block = block;
    snapshot.parts.push_back(part);
    snapshot.rows = n;
  }

  Snapshot snapshot;
};

// Checks every interval that `scan` gives, and that no row at or below a limit is missing. Returns how many were
// checked.
size_t CheckIntervals(Scan& scan, const CodeSpace& space, const OneBlock& block, const Vectors& x, const Vectors& q,
                      float limit) {
  const size_t d = space.dimension, n = x.size() / d, nq = q.size() / d;
  std::vector<Candidates> collectors(nq, Candidates(Candidates::kAll, limit));
  const size_t panel = std::min(scan.QueryPanel(), nq);
  for (size_t j = 0; j < nq; j += panel)
    scan.Run({&block.snapshot.parts[0], 0, n}, j, std::min(panel, nq - j), collectors.data() + j, 0);
  size_t checked = 0;
  for (size_t j = 0; j < nq; ++j) {
    std::vector<Interval> rows;
    collectors[j].Take(rows);
    std::vector<bool> seen(n);
    for (const Interval& row : rows) {
      const double key = KeyOf(&x[row.label * d], &q[j * d], d, space.metric);
      CHECK(!seen[row.label]);
      seen[row.label] = true;
      CHECK(static_cast<double>(row.lower) <= key);
      CHECK(static_cast<double>(row.upper) >= key);
    }
    for (size_t i = 0; i < n; ++i)
      if (!seen[i]) CHECK(KeyOf(&x[i * d], &q[j * d], d, space.metric) > static_cast<double>(limit));
    checked += n;
  }
  return checked;
}

size_t CheckBothScans(const CodeSpace& space, const Vectors& x, const Vectors& q, const Vectors& centre,
                      std::mt19937& random) {
  const size_t d = space.dimension, n = x.size() / d;
  const OneBlock block(space, x, centre);
  const Queries queries{q.data(), q.size() / d, d, space.metric, &block.snapshot, nullptr, n};
  size_t checked = 0;
  // Without a limit every row comes; with one, those that may be at or below some row's own key.
  const double key = KeyOf(&x[random() % n * d], q.data(), d, space.metric);
  for (const float limit : {Candidates::kNone, RoundUp(key)}) {
    Int8Scan int8(queries, space, 0, 1);
    Fp32Scan fp32(queries, 1);
    checked += CheckIntervals(int8, space, block, x, q, limit);
    checked += CheckIntervals(fp32, space, block, x, q, limit);
  }
  return checked;
}

// The transposed rotation, in fp64.
std::vector<float> RotateBack(const CodeSpace& space, std::vector<double> x) {
  const size_t padded = space.padded, block = padded & (~padded + 1), blocks = padded / block;
  const auto hadamard = [&](double* values) {
    for (size_t h = 1; h < block; h *= 2)
      for (size_t i = 0; i < block; ++i)
        if ((i & h) == 0) {
          const double a = values[i], b = values[i + h];
          values[i] = a + b;
          values[i + h] = a - b;
        }
  };
  for (size_t b = 0; b < blocks; ++b) hadamard(&x[b * block]);
  for (size_t i = 0; i < padded; ++i) x[i] *= static_cast<double>(space.signs[padded + i]);
  std::vector<double> y(padded);
  for (size_t i = 0; i < block; ++i)
    for (size_t b = 0; b < blocks; ++b) y[b * block + i] = x[i * blocks + b];
  for (size_t b = 0; b < blocks; ++b) hadamard(&y[b * block]);
  std::vector<float> result(space.dimension);
  for (size_t i = 0; i < space.dimension; ++i)
    result[i] = static_cast<float>(y[i] * static_cast<double>(space.signs[i]));
  return result;
}

// What codes leave out of a vector's rotation, as a vector of plus and minus one: the direction in which it hurts most
// among those that have exact codes themselves.
std::vector<double> WorstDirection(const CodeSpace& space, const float* x, bool query) {
  const Vectors zero(space.dimension);
  std::vector<float> rotated(space.padded), scratch(space.padded);
  std::vector<int8_t> codes(space.padded);
  space.Rotate(x, zero.data(), rotated.data(), scratch.data());
  const CodeKernels& coder = *space.kernels.codes;
  const Encoded encoded = query ? coder.encode_query(rotated.data(), space.padded, 1, codes.data())
                                : coder.encode(rotated.data(), space.padded, codes.data());
  std::vector<double> direction(space.padded);
  for (size_t i = 0; i < space.padded; ++i)
    direction[i] = rotated[i] - encoded.scale * static_cast<float>(codes[i]) < 0 ? -1 : 1;
  return direction;
}

}  // namespace

// FLATRANK_FUZZ: how many intervals are checked (10 million take a minute or two).
TEST(BoundsHoldOnEveryKindOfData) {
  const char* wanted_text = std::getenv("FLATRANK_FUZZ");
  const size_t wanted = wanted_text ? std::strtoull(wanted_text, nullptr, 10) : 200000;
  std::mt19937 random(wanted_text ? std::random_device()() : 1);
  size_t checked = 0;
  for (size_t round = 0; checked < wanted || round < 2 * Kinds().size(); ++round) {
    const std::string& kind = Kinds()[round % Kinds().size()];
    if (kind == "overflowing") continue;  // no scan is used there
    const size_t d = round % 7 == 0 ? 100 + random() % 1437 : 1 + random() % 130;
    const size_t n = 16 * (2 + random() % 6), nq = 1 + random() % 40;
    const CodeSpace space(d, random() % 2 == 0 ? Metric::kL2 : Metric::kInnerProduct);
    const Vectors x = Make(kind, n, d, static_cast<unsigned>(random()));
    Vectors q = Make(kind, nq, d, static_cast<unsigned>(random()));
    std::copy_n(x.begin(), d, q.begin());  // one query is a row
    Vectors centre(d);
    if (random() % 4 != 0)
      for (size_t i = 0; i < d; ++i)
        for (size_t r = 0; r < 4; ++r) centre[i] += x[r * d + i] / 4;
    checked += CheckBothScans(space, x, q, centre, random);
  }
  std::printf("  %zu intervals\n", checked);
}

// Products that are lost against a sum of one, at every step: the fp32 bound is all but reached.
TEST(BoundsOfFp32AreReached) {
  const size_t lanes = ActiveKernels().lanes, d = lanes * 512;
  const CodeSpace space(d, Metric::kInnerProduct);
  Vectors x(32 * d, 0x1p-12f);
  for (size_t r = 0; r < 32; ++r) std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(r * d), lanes, 1.0f);
  const Vectors q(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(d));
  float dot;
  ActiveKernels().dot_tile(x.data(), 1, q.data(), 1, d, &dot, 1);
  const double key = KeyOf(x.data(), q.data(), d, Metric::kInnerProduct),
               error = std::abs(key + static_cast<double>(dot));
  const double bound = ScanError(d, lanes).dot_error * kScalarKernels.exact_dot(q.data(), q.data(), d);
  CHECK(error <= bound && error > 0.6 * bound);
  std::mt19937 random(2);
  CheckBothScans(space, x, q, Vectors(d), random);
}

// Queries along what the codes leave out of a row, and rows along what they leave out of a query.
TEST(BoundsOfCodesAreReached) {
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct})
    for (const size_t d : {size_t{32}, size_t{64}, size_t{384}, size_t{768}}) {
      const CodeSpace space(d, metric);
      const Vectors zero(d), given = Gaussian(32, d, 40);
      std::mt19937 random(3);
      for (const bool query : {false, true}) {
        Vectors worst;
        for (size_t i = 0; i < 32; ++i)
          for (const double sign : {1.0, -1.0}) {
            std::vector<double> direction = WorstDirection(space, &given[i * d], query);
            for (double& value : direction) value *= sign;
            const std::vector<float> row = RotateBack(space, direction);
            worst.insert(worst.end(), row.begin(), row.end());
          }
        if (query)
          CheckBothScans(space, worst, given, zero, random);
        else
          CheckBothScans(space, given, worst, zero, random);
      }
    }
}

}  // namespace flatrank::test
