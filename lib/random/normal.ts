/**
 * Normally distributed numbers, reproducible from a seed on every machine: xoshiro128** (Blackman and Vigna 2021) with the polar
 * method (Marsaglia and Bray 1964). Each name draws its own stream, so that a tensor's values do not depend on which
 * others were drawn before it.
 */

/** A source of 32-bit words. @param seed any integer @param name the stream's name */
function words(seed: number, name: string): () => number {
  // FNV-1a over the seed and the name, then SplitMix32 to fill the state.
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${seed} ${name}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  const state = Int32Array.from({ length: 4 }, () => {
    hash = (hash + 0x9e3779b9) | 0;
    let z = hash ^ (hash >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  });
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  return () => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}

/** `count` values of mean 0 and standard deviation `deviation`. */
export function normals(count: number, deviation: number, seed: number, name: string): Float32Array<ArrayBuffer> {
  const next = words(seed, name);
  const values = new Float32Array(count);
  for (let i = 0; i < count;) {
    const u = next() * 2 ** -31;
    const v = next() * 2 ** -31;
    const s = u * u + v * v;
    if (s >= 1 || s === 0) continue;
    const scale = deviation * Math.sqrt((-2 * Math.log(s)) / s);
    values[i++] = u * scale;
    if (i < count) values[i++] = v * scale;
  }
  return values;
}
