// The kinds of vectors that exact search is measured on; all reproducible. Each gives vectors (n, d) and queries (nq, d).
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gaussian } from '../harness.mjs';

/** `count` integers below `limit`. */
function integers(count, limit, seed) {
  let state = seed >>> 0;
  return Uint32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  });
}

/** Like embeddings: a thousand clusters around a common mean, variance falling with the dimension, length one. */
function clustered(n, d, seed) {
  const centres = gaussian(1000 * d, 99);
  const noise = gaussian(n * d, seed);
  const chosen = integers(n, 1000, seed + 1);
  const spectrum = Float32Array.from({ length: d }, (_, j) => (j + 1) ** -0.5);
  for (let i = 0; i < n; i++) {
    let norm2 = 0;
    for (let j = 0; j < d; j++) {
      const value = (centres[chosen[i] * d + j] + 0.5 * noise[i * d + j] + 0.3) * spectrum[j];
      noise[i * d + j] = value;
      norm2 += value * value;
    }
    const length = Math.sqrt(norm2);
    for (let j = 0; j < d; j++) noise[i * d + j] /= length;
  }
  return noise;
}

function embeddings(name, count, d) {
  const file = path.join(process.env.FLATRANK_EMBEDDINGS ?? '', name);
  if (d !== 384 || !process.env.FLATRANK_EMBEDDINGS || !existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return values.length < count * d ? undefined : values.subarray(0, count * d);
}

/** Makes (count, d) values; `seed` tells rows from queries. */
const kinds = {
  clustered,
  gaussian: (count, d, seed) => gaussian(count * d, seed),
  duplicates: (count, d, seed) => {
    const distinct = Math.ceil(count / 10);
    const base = gaussian(distinct * d, seed);
    const values = new Float32Array(count * d);
    for (let i = 0; i < count; i++) values.set(base.subarray((i % distinct) * d, ((i % distinct) + 1) * d), i * d);
    return values;
  },
  offset: (count, d, seed) => gaussian(count * d, seed).map((value) => value + 3),
  outliers: (count, d, seed) => {
    const values = gaussian(count * d, seed);
    for (let i = 0; i < count; i++) for (const j of [1, Math.floor(d / 3), d - 2]) values[i * d + j] *= 30;
    return values;
  },
  minilm: (count, d, seed) => embeddings(seed === 1 ? 'rows.f32' : 'queries.f32', count, d),
};

export const dataNames = Object.keys(kinds);

/** The rows and up to 1024 queries, or undefined where that kind cannot be had in this shape. */
export function makeData(kind, n, d) {
  const vectors = kinds[kind](n, d, 1);
  const queries = vectors && kinds[kind](1024, d, 2);
  return queries && { vectors, queries };
}
