// The rotation, over a struct CodeVec that the including file defines: Type, kLanes, Load, Store, Add, Sub, Mul,
// MulAdd(a, b, c) = a b + c for a of plus or minus one, Swap<h> (exchanges lanes h apart) and Alternating<h> (plus one
// where a lane's bit h is clear, minus one where it is set).

// One level inside registers: the pair (a, b) of lanes h apart becomes (a + b, a - b).
template <size_t H>
inline typename CodeVec::Type Level(typename CodeVec::Type v) {
  return CodeVec::MulAdd(v, CodeVec::template Alternating<H>(), CodeVec::template Swap<H>(v));
}

inline typename CodeVec::Type LevelsInside(typename CodeVec::Type v) {
  v = Level<1>(v);
  v = Level<2>(v);
  if constexpr (CodeVec::kLanes > 4) v = Level<4>(v);
  if constexpr (CodeVec::kLanes > 8) v = Level<8>(v);
  return v;
}

// Unnormalised Hadamard transform of the `size` values at x; size is a power of two, at least kLanes.
inline void Hadamard(float* x, size_t size) {
  for (size_t i = 0; i < size; i += CodeVec::kLanes) CodeVec::Store(x + i, LevelsInside(CodeVec::Load(x + i)));
  for (size_t h = CodeVec::kLanes; h < size; h *= 2)
    for (size_t i = 0; i < size; i += 2 * h)
      for (size_t j = i; j < i + h; j += CodeVec::kLanes) {
        const typename CodeVec::Type a = CodeVec::Load(x + j), b = CodeVec::Load(x + j + h);
        CodeVec::Store(x + j, CodeVec::Add(a, b));
        CodeVec::Store(x + j + h, CodeVec::Sub(a, b));
      }
}

void Rotate(const float* x, const float* centre, size_t d, const float* signs, size_t padded, float* out,
            float* scratch) {
  const size_t block = padded & (~padded + 1), blocks = padded / block;
  for (size_t i = 0; i < d; ++i) scratch[i] = (x[i] - centre[i]) * signs[i];
  for (size_t i = d; i < padded; ++i) scratch[i] = 0.0f;
  for (size_t b = 0; b < blocks; ++b) Hadamard(scratch + b * block, block);
  for (size_t i = 0; i < block; ++i)
    for (size_t b = 0; b < blocks; ++b) out[i * blocks + b] = scratch[b * block + i];
  for (size_t i = 0; i < padded; ++i) out[i] *= signs[padded + i];
  for (size_t b = 0; b < blocks; ++b) Hadamard(out + b * block, block);
}
