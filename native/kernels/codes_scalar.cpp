// The reference of the code kernels.
#include "kernels/codes.h"

namespace flatrank {

namespace {

#include "kernels/codes_common.inl"

void Hadamard(float* x, size_t size) {
  for (size_t h = 1; h < size; h *= 2)
    for (size_t i = 0; i < size; i += 2 * h)
      for (size_t j = i; j < i + h; ++j) {
        const float a = x[j], b = x[j + h];
        x[j] = a + b;
        x[j + h] = a - b;
      }
}

void Rotate(const float* x, const float* centre, size_t d, const float* signs, size_t padded, float* out,
            float* scratch) {
  const size_t block = padded & (~padded + 1), blocks = padded / block;
  for (size_t i = 0; i < padded; ++i) scratch[i] = i < d ? (x[i] - centre[i]) * signs[i] : 0.0f;
  for (size_t b = 0; b < blocks; ++b) Hadamard(scratch + b * block, block);
  for (size_t i = 0; i < block; ++i)
    for (size_t b = 0; b < blocks; ++b) out[i * blocks + b] = scratch[b * block + i] * signs[padded + i * blocks + b];
  for (size_t b = 0; b < blocks; ++b) Hadamard(out + b * block, block);
}

Encoded EncodeQuery(const float* x, size_t padded, double, int8_t* codes) { return Encode(x, padded, codes); }

size_t Scan(const uint8_t* data, size_t panels, size_t steps, const CodeQueries& queries, const CodeRule* rules,
            CodeHit* hits) {
  size_t found = 0;
  for (size_t p = 0; p < panels; ++p, data += PanelBytes(steps)) {
    const auto* codes = reinterpret_cast<const int8_t*>(data);
    const auto& terms = *reinterpret_cast<const PanelTerms*>(data + steps * kPanelRows * kStepValues);
    for (size_t j = 0; j < queries.count; ++j) {
      const auto* query = reinterpret_cast<const int8_t*>(queries.codes + j * steps);  // tile 1: a query a group
      const CodeRule& rule = rules[j];
      for (size_t r = 0; r < kPanelRows; ++r) {
        int32_t dot = queries.bias[j];
        for (size_t s = 0; s < steps; ++s)
          for (size_t i = 0; i < kStepValues; ++i)
            dot += codes[(s * kPanelRows + r) * kStepValues + i] * query[s * kStepValues + i];
        const float bound = terms.offset[r] - rule.dot_weight * (terms.scale[r] * static_cast<float>(dot)) -
                            rule.norm_weight * terms.norm[r] - rule.residual_weight * terms.residual[r];
        if (!(bound > rule.threshold))
          hits[found++] = {static_cast<uint32_t>(j), static_cast<uint32_t>(p * kPanelRows + r), dot};
      }
    }
  }
  return found;
}

}  // namespace

const CodeKernels kScalarCodes = {0, 1, 1, 0, Rotate, Encode, EncodeQuery, Scan};

}  // namespace flatrank
