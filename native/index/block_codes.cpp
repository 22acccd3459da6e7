#include "index/block_codes.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/error.h"

namespace flatrank {

namespace {

// Pseudo-random bits (Steele, Lea and Flood 2014, SplitMix64): any fixed signs do.
uint64_t NextBits(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// The largest sum of squared codes that one 16-bit partial sum meets: values 2 h and 2 h + 1 of each of bias_steps
// steps.
double LargestLane(const int8_t* codes, size_t padded, size_t bias_steps) {
  int32_t largest = 0;
  for (size_t i = 0; i < padded; i += bias_steps * kStepValues) {
    int32_t sums[2] = {};
    for (size_t s = 0; s < bias_steps * kStepValues; s += kStepValues)
      for (size_t h = 0; h < 2; ++h) {
        const int32_t a = codes[i + s + 2 * h], b = codes[i + s + 2 * h + 1];
        sums[h] += a * a + b * b;
      }
    largest = std::max({largest, sums[0], sums[1]});
  }
  return largest;
}

}  // namespace

size_t CodeSpace::UsualLeastRows(size_t dimension) {
  constexpr size_t kLeastDimension = 32;  // below, padding eats what codes save
  if (dimension < kLeastDimension) return std::numeric_limits<size_t>::max();
  return std::clamp<size_t>((size_t{1} << 20) / dimension, 256, 2048);
}

CodeSpace::CodeSpace(size_t d, Metric m, size_t least)
    : kernels(ActiveKernels()),
      metric(m),
      dimension(d),
      padded((d + kCodeBlock - 1) / kCodeBlock * kCodeBlock),
      least_rows(least),
      error(d, padded),
      signs(2 * padded) {
  uint64_t state = 0;
  const float norm = 1.0f / static_cast<float>(padded & (~padded + 1));
  for (size_t i = 0; i < signs.size(); ++i) {
    const float magnitude = i < padded ? 1.0f : norm;
    signs[i] = NextBits(state) >> 63 ? magnitude : -magnitude;
  }
}

BlockCodes::BlockCodes(const CodeSpace& space, size_t capacity, std::vector<float> centre)
    : panel_bytes_(space.panel_bytes()),
      row_bytes_(space.row_bytes()),
      centre_(std::move(centre)),
      centre_norm2_(space.kernels.exact_dot(centre_.data(), centre_.data(), space.dimension)),
      panels_(capacity / kPanelRows * panel_bytes_) {}

BlockCodes::BlockCodes(const CodeSpace& space, MappableArray<uint8_t> panels, std::vector<float> centre)
    : panel_bytes_(space.panel_bytes()),
      row_bytes_(space.row_bytes()),
      centre_(std::move(centre)),
      centre_norm2_(space.kernels.exact_dot(centre_.data(), centre_.data(), space.dimension)),
      panels_(std::move(panels)) {}

void BlockCodes::MapRows(std::shared_ptr<const MappedFile> file, size_t count) {
  rows_ = reinterpret_cast<const uint8_t*>(file->Range(0, count, row_bytes_));
  rows_file_ = std::move(file);
  row_count_ = count;
}

void BlockCodes::ExpectRowChecksums(std::vector<uint32_t> sums) {
  if (sums.size() != row_count_)
    throw Error(kInvalidArgument, "Expected a checksum for each row of codes that was mapped");
  row_checks_ = std::make_unique<const RowChecks>(rows_file_->path(), std::move(sums));
}

CodeStats BlockCodes::Encode(const CodeSpace& space, size_t panel, const float* rows, const float* norm_high) {
  const Kernels& kernels = space.kernels;
  const CodeKernels& coder = *kernels.codes;
  const size_t d = space.dimension, padded = space.padded;
  const double fp64_error = space.error.scan.fp64_error;
  std::vector<float> rotated(2 * padded);
  std::vector<int8_t> codes(padded);
  uint8_t* const out = panels_.data() + panel * panel_bytes_;
  PanelTerms& terms = *reinterpret_cast<PanelTerms*>(out + panel_bytes_ - sizeof(PanelTerms));
  CodeStats stats;
  for (size_t r = 0; r < kPanelRows; ++r) {
    const float* row = rows + r * d;
    space.Rotate(row, centre(), rotated.data(), rotated.data() + padded);
    const Encoded encoded = coder.encode(rotated.data(), padded, codes.data());
    for (size_t i = 0; i < padded; i += kStepValues)
      for (size_t j = 0; j < kStepValues; ++j)
        out[i * kPanelRows + r * kStepValues + j] = static_cast<uint8_t>(codes[i + j] + coder.code_offset);
    if (coder.bias_steps != 0)
      stats.lane_norm2 = std::max(stats.lane_norm2, LargestLane(codes.data(), padded, coder.bias_steps));

    const double distance2 = kernels.exact_l2(row, centre(), d);
    double offset = distance2, offset_error = 0;
    if (space.metric == Metric::kInnerProduct) {
      offset = centre_norm2_ - kernels.exact_dot(row, centre(), d);
      offset_error = 2 * fp64_error * (static_cast<double>(norm_high[r]) * std::sqrt(centre_norm2_) + centre_norm2_);
    }
    const double norm = std::sqrt(distance2 * (1 + fp64_error)) * (1 + fp64_error);
    terms.offset[r] = RoundDown(offset - kCodeSlack * std::abs(offset) - offset_error);
    terms.scale[r] = encoded.scale;
    terms.norm[r] = RoundUp(CodeError::CodedNorm(encoded));
    terms.residual[r] = RoundUp(space.error.Residual(encoded, norm));
  }
  return stats;
}

QueryTerms BlockCodes::MeasureQuery(const CodeSpace& space, const float* q, const Encoded& encoded,
                                    double max_norm2) const {
  const double fp64_error = space.error.scan.fp64_error;
  const double distance2 = space.kernels.exact_l2(q, centre(), space.dimension);
  const double query_norm2 = space.kernels.exact_dot(q, q, space.dimension);
  QueryTerms terms;
  terms.norm = std::sqrt(distance2 * (1 + fp64_error)) * (1 + fp64_error);
  terms.scale = static_cast<double>(encoded.scale);
  terms.residual = space.error.Residual(encoded, terms.norm);
  if (space.metric == Metric::kL2) {
    terms.low = distance2 * (1 - fp64_error);
    terms.high = distance2 * (1 + fp64_error);
    terms.definition = fp64_error * terms.high + space.error.scan.tiny;
    terms.offset_high = space.error.scan.tiny;
  } else {
    const double b = -space.kernels.exact_dot(centre(), q, space.dimension);
    const double b_error = fp64_error * std::sqrt(centre_norm2_ * query_norm2) * 2;
    terms.low = b - b_error;
    terms.high = b + b_error;
    terms.definition = 2 * fp64_error * std::sqrt(max_norm2 * query_norm2) + space.error.scan.tiny;
    terms.offset_high =
        16 * fp64_error * (std::sqrt(max_norm2 * centre_norm2_) + centre_norm2_) + space.error.scan.tiny;
  }
  terms.safe = std::max({query_norm2, max_norm2, centre_norm2_}) <= kMaxNorm2;
  return terms;
}

void PlaceQueries(const CodeKernels& coder, const int8_t* codes, size_t count, size_t padded,
                  std::vector<int32_t>& placed, std::vector<int32_t>& bias) {
  const size_t steps = padded / kStepValues, groups = GroupCount(count, coder.tile, coder.lone_tile);
  const size_t biases = coder.bias_steps == 0 ? 1 : steps / coder.bias_steps, per_bias = steps / biases;
  placed.resize(count * steps);
  bias.resize(count * biases);
  size_t first = 0;
  for (size_t g = 0; g < groups; ++g) {
    const size_t size = GroupSize(count, groups, g);
    for (size_t j = 0; j < size; ++j) {
      const int8_t* query = codes + (first + j) * padded;
      int32_t* out = placed.data() + first * steps + j;
      for (size_t s = 0; s < steps; ++s) std::memcpy(out + s * size, query + s * kStepValues, kStepValues);
      for (size_t b = 0; b < biases; ++b) {
        int32_t low = 0, high = 0;  // sums of values 0, 1 and of values 2, 3 of each step
        const int8_t* part = query + b * per_bias * kStepValues;
        for (size_t i = 0; i < per_bias * kStepValues; i += kStepValues) {
          low -= coder.code_offset * (part[i] + part[i + 1]);
          high -= coder.code_offset * (part[i + 2] + part[i + 3]);
        }
        const uint32_t pair = (static_cast<uint32_t>(low) & 0xffffu) | (static_cast<uint32_t>(high) << 16);
        bias[first * biases + b * size + j] = coder.bias_steps == 0 ? low + high : static_cast<int32_t>(pair);
      }
    }
    first += size;
  }
}

}  // namespace flatrank
