// The code kernels of every table against plain loops.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "check.h"
#include "data.h"
#include "index/block_codes.h"
#include "kernels/kernels.h"

namespace flatrank::test {

namespace {

std::vector<const CodeKernels*> Available() {
  std::vector<const CodeKernels*> tables;
  for (const char* name : {"scalar", "avx2", "avx512", "neon"})
    if (const Kernels* table = KernelsNamed(name)) tables.push_back(table->codes);
  return tables;
}

struct Panels {
  Panels(const CodeKernels& coder, size_t panels, size_t padded, unsigned seed)
      : steps(padded / kStepValues), codes(panels * kPanelRows * padded), data(panels * PanelBytes(steps)) {
    std::mt19937 random(seed);
    for (int8_t& code : codes) code = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
    for (size_t row = 0; row < panels * kPanelRows; ++row) {
      uint8_t* panel = data.data() + row / kPanelRows * PanelBytes(steps);
      for (size_t i = 0; i < padded; ++i)
        panel[i / 4 * 64 + row % kPanelRows * 4 + i % 4] =
            static_cast<uint8_t>(codes[row * padded + i] + coder.code_offset);
      auto& terms = *reinterpret_cast<PanelTerms*>(panel + steps * 64);
      terms.offset[row % kPanelRows] = static_cast<float>(random() % 64);
      terms.scale[row % kPanelRows] = 1;
      terms.norm[row % kPanelRows] = static_cast<float>(random() % 8);
      terms.residual[row % kPanelRows] = static_cast<float>(random() % 8);
    }
  }
  const PanelTerms& terms(size_t row) const {
    return *reinterpret_cast<const PanelTerms*>(data.data() + row / kPanelRows * PanelBytes(steps) + steps * 64);
  }

  size_t steps;
  std::vector<int8_t> codes;
  std::vector<uint8_t> data;
};

}  // namespace

TEST(CodesOfVectorsStandForThem) {
  for (const CodeKernels* coder : Available())
    for (const std::string& kind : Kinds())
      for (const size_t padded : {size_t{32}, size_t{96}, size_t{384}, size_t{1536}}) {
        if (kind == "overflowing") continue;
        const Vectors x = Make(kind, 3, padded, 50);
        for (const bool query : {false, true}) {
          std::vector<int8_t> codes(padded);
          const Encoded encoded = query ? coder->encode_query(x.data(), padded, 1e9, codes.data())
                                        : coder->encode(x.data(), padded, codes.data());
          double residual2 = 0, largest = 0;
          int norm2 = 0;
          for (size_t i = 0; i < padded; ++i) {
            const double r = static_cast<double>(x[i]) - static_cast<double>(encoded.scale) * codes[i];
            residual2 += r * r;
            norm2 += codes[i] * codes[i];
            largest = std::max(largest, static_cast<double>(std::abs(x[i])));
            CHECK(codes[i] >= -127);
            // A query's scale may be another than the one it was rounded with.
            const double step = (query ? 1 : 0.51) * static_cast<double>(encoded.scale);
            CHECK(std::abs(r) <= std::max(step, 0x1p-100) + largest * 1e-6);
          }
          CHECK(encoded.code_norm2 == norm2);
          CHECK(std::abs(static_cast<double>(encoded.residual2) - residual2) <=
                1e-3 * residual2 + 1e-10 * largest * largest + 1e-37);
        }
      }
}

TEST(CodesRotationIsTheReferenceAndKeepsNorms) {
  for (const char* name : {"scalar", "avx2", "avx512", "neon"}) {
    const Kernels* table = KernelsNamed(name);
    if (table == nullptr) continue;
    for (const size_t d : {1, 31, 32, 33, 96, 100, 384, 768, 1024}) {
      const CodeSpace space(d, Metric::kL2);
      const Vectors x = Gaussian(1, d, 51), centre = Gaussian(1, d, 52);
      std::vector<float> expected(space.padded), actual(space.padded), scratch(space.padded);
      kScalarCodes.rotate(x.data(), centre.data(), d, space.signs.data(), space.padded, expected.data(),
                          scratch.data());
      table->codes->rotate(x.data(), centre.data(), d, space.signs.data(), space.padded, actual.data(), scratch.data());
      CHECK(expected == actual);  // every value passes through the same roundings
      const double norm2 = kScalarKernels.exact_dot(actual.data(), actual.data(), space.padded);
      const double distance2 = kScalarKernels.exact_l2(x.data(), centre.data(), d);
      CHECK(std::abs(norm2 - distance2) <= 1e-5 * distance2);
    }
  }
}

TEST(CodesScanKeepsWhatTheRuleDoesNotExclude) {
  for (const CodeKernels* coder : Available())
    for (const size_t padded : {size_t{32}, size_t{64}, size_t{352}})
      for (const size_t panels : {size_t{1}, size_t{2}, size_t{5}})
        for (const size_t nq : {1, 2, 3, 5, 6, 7, 11, 12, 13, 16, 17, 24, 25, 40}) {
          const Panels rows(*coder, panels, padded, 53);
          const size_t n = panels * kPanelRows, steps = rows.steps;
          // Codes that any row's sums can take.
          Vectors values = Gaussian(nq, padded, 54);
          if (nq > 2) std::fill_n(values.begin(), padded, 1.0f);
          std::vector<int8_t> codes(nq * padded);
          const double lane_norm2 = static_cast<double>(coder->bias_steps) * 2 * 127 * 127;
          for (size_t j = 0; j < nq; ++j)
            coder->encode_query(&values[j * padded], padded, lane_norm2, &codes[j * padded]);
          std::vector<int32_t> placed, bias;
          PlaceQueries(*coder, codes.data(), nq, padded, placed, bias);
          std::vector<CodeRule> rules(nq, {0.5f, 3, 2, -40});
          rules[0].threshold = std::numeric_limits<float>::infinity();
          if (nq > 1) rules[1].threshold = std::numeric_limits<float>::quiet_NaN();  // excludes nothing
          std::vector<CodeHit> hits(n * nq);
          hits.resize(coder->scan(rows.data.data(), panels, steps, {placed.data(), bias.data(), nq}, rules.data(),
                                  hits.data()));
          std::vector<bool> hit(n * nq);
          for (const CodeHit& h : hits) {
            CHECK(h.query < nq && h.row < n && !hit[h.query * n + h.row]);
            hit[h.query * n + h.row] = true;
          }
          size_t at = 0;
          for (size_t j = 0; j < nq; ++j)
            for (size_t r = 0; r < n; ++r) {
              int dot = 0;
              for (size_t i = 0; i < padded; ++i) dot += rows.codes[r * padded + i] * codes[j * padded + i];
              const PanelTerms& terms = rows.terms(r);
              const size_t lane = r % kPanelRows;
              const double bound = static_cast<double>(terms.offset[lane]) - 0.5 * dot -
                                   3.0 * static_cast<double>(terms.norm[lane]) -
                                   2.0 * static_cast<double>(terms.residual[lane]);
              CHECK(hit[j * n + r] == !(bound > static_cast<double>(rules[j].threshold)));
              at += hit[j * n + r] ? 1 : 0;
            }
          CHECK(at == hits.size());
          for (const CodeHit& h : hits) {
            int dot = 0;
            for (size_t i = 0; i < padded; ++i) dot += rows.codes[h.row * padded + i] * codes[h.query * padded + i];
            CHECK(h.dot == dot);
          }
        }
}

}  // namespace flatrank::test
