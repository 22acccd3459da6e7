// What every table of code kernels shares: encoding in plain loops that the compiler vectorises for the including
// file's instruction set. Internal linkage and no std templates, as in kernels_simd.inl.

inline uint32_t BitsOf(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float FloatOf(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

// Vectors whose values all lie below are given zero codes: 127 divided by them might overflow.
constexpr float kLeastMagnitude = 0x1p-100f;

inline float LargestMagnitude(const float* x, size_t n) {
  uint32_t largest = 0;  // positive floats are ordered as their bits
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = BitsOf(x[i]) & 0x7fffffffu;
    largest = bits > largest ? bits : largest;
  }
  return FloatOf(largest);
}

// Codes of x times `inverse`, rounded by adding 1.5 * 2^23, which leaves the integer in the low bits.
inline void Quantise(const float* x, size_t n, float inverse, int8_t* codes) {
  for (size_t i = 0; i < n; ++i)
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(BitsOf(x[i] * inverse + 0x1.8p23f)) - 0x4b400000);
}

inline Encoded Measure(const float* x, size_t n, float scale, const int8_t* codes) {
  constexpr size_t kLanes = 16;
  float sums[kLanes] = {};
  int32_t norm2 = 0;
  for (size_t i = 0; i < n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) {
      const float difference = x[i + l] - scale * static_cast<float>(codes[i + l]);
      sums[l] += difference * difference;
    }
  for (size_t i = 0; i < n; ++i) norm2 += static_cast<int32_t>(codes[i]) * static_cast<int32_t>(codes[i]);
  float total = 0;
  for (size_t l = 0; l < kLanes; ++l) total += sums[l];
  return {scale, total, norm2};
}

Encoded Encode(const float* x, size_t padded, int8_t* codes) {
  const float largest = LargestMagnitude(x, padded);
  const float inverse = largest < kLeastMagnitude ? 0.0f : 127.0f / largest;
  Quantise(x, padded, inverse, codes);
  return Measure(x, padded, inverse == 0.0f ? 0.0f : largest / 127.0f, codes);
}
