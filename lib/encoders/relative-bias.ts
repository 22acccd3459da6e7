/** The attention bias of MPNet: one number a head for each bucket of relative positions. */
import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { Builder } from './builder.js';
import type { Architecture } from './family.js';

/** Buckets that transformers counts with, and the distance from which all are in the last. */
const buckets = 32;
const maxDistance = 128;

/** Makes the bias (1, heads, s or 1, s) for texts of `size` tokens (a scalar). `first`: of the first token only. */
export type RelativeBias = (g: Graph, size: Value, first: boolean) => Value;

/** Reads the table of the biases, if the architecture has one. */
export function relativeBias(b: Builder, a: Architecture): RelativeBias | undefined {
  if (a.relativeBuckets === undefined) return undefined;
  const table = b.parameter('encoder.relative_attention_bias.weight', [a.relativeBuckets, a.heads]);
  // (2 · last + 1, heads): the bias of key position minus query position, from the most negative on.
  const last = a.positions + 2; // a text may get up to three places behind its end
  const byDistance = BigInt64Array.from({ length: 2 * last + 1 }, (_, i) => BigInt(relativeBucket(i - last)));
  const biases = op.gather(b.graph, table, b.graph.constant(byDistance));
  return (g, size, first) => {
    const keys = op.range(g, size, 's');
    const queries = first ? op.int64s(g, 0) : keys;
    const distances = op.sub(g, op.unsqueeze(g, keys, 0), op.unsqueeze(g, queries, 1));
    const rows = op.gather(g, biases, op.add(g, distances, op.int64(g, last)));
    return op.unsqueeze(g, op.transpose(g, rows, 2, 0, 1), 0);
  };
}

/**
 * The bucket of a key that lies `distance` tokens behind its query: half of them for either side, of each side the nearer
 * half one a distance, the others in logarithmic steps. In 32-bit floats, as transformers computes it.
 */
export function relativeBucket(distance: number): number {
  const { fround } = Math;
  const side = buckets / 2;
  const exact = side / 2;
  const n = Math.abs(distance);
  const start = distance > 0 ? side : 0;
  if (n < exact) return start + n;
  const log = fround(Math.log(fround(n / exact)));
  const scaled = fround(fround(log / fround(Math.log(maxDistance / exact))) * (side - exact));
  return start + Math.min(exact + Math.trunc(scaled), side - 1);
}
