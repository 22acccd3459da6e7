// The loop over vectors `Vec`, included by the file of each instruction set inside its namespace.
inline void AdamWSimd(float* w, const float* gradient, float* m, float* v, size_t n, const AdamWFactors& f) {
  using Type = Vec::Type;
  const Type scale = Vec::Broadcast(f.gradient_scale), decay = Vec::Broadcast(f.decay);
  const Type first_weight = Vec::Broadcast(f.first_weight), second_decay = Vec::Broadcast(f.second_decay);
  const Type second_weight = Vec::Broadcast(f.second_weight), correction = Vec::Broadcast(f.second_correction);
  const Type epsilon = Vec::Broadcast(f.epsilon), step_size = Vec::Broadcast(f.step_size);
  const size_t whole = n - n % Vec::kLanes;
  for (size_t i = 0; i < whole; i += Vec::kLanes) {
    const Type g = Vec::Mul(Vec::Load(gradient + i), scale);
    Type first = Vec::Load(m + i), second = Vec::Load(v + i);
    first = Vec::Add(first, Vec::Mul(first_weight, Vec::Sub(g, first)));
    second = Vec::Add(Vec::Mul(second, second_decay), Vec::Mul(Vec::Mul(second_weight, g), g));
    Vec::Store(m + i, first);
    Vec::Store(v + i, second);
    const Type denominator = Vec::Add(Vec::Div(Vec::Sqrt(second), correction), epsilon);
    const Type change = Vec::Div(Vec::Mul(step_size, first), denominator);
    Vec::Store(w + i, Vec::Sub(Vec::Mul(Vec::Load(w + i), decay), change));
  }
  AdamWScalar(w + whole, gradient + whole, m + whole, v + whole, n - whole, f);
}
