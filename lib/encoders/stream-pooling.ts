/** Pooling in the graph of a token stream: on a GPU, from which token vectors would have to be copied to be pooled. */
import type { Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import { reduceSum, sqrt } from '../graph/training-ops.js';
import type { PoolingMode } from '../native.js';
import type { StreamLayout } from './stream-layout.js';

/** Least norm that a vector is divided by, as torch's `normalize`. */
const leastNorm = 1e-12;

/**
 * What native/pool gives for the same tokens, up to the order of its sums: the modes' vectors one behind another, and scaled to
 * unit length where the input `unit` () is 1. The first `skip` () tokens of each text are left out; a text that has no others
 * gives zeros, or for 'cls' its first token.
 * @param x (T, hidden)
 * @returns (n, modes · hidden)
 */
export function pooledVectors(layout: StreamLayout, x: Value, modes: readonly PoolingMode[]): Value {
  const { graph: g, lengths } = layout;
  const hidden = x.shape[1] as number;
  const skip = g.input('skip', 'int64', []);
  const some = op.greater(g, lengths, skip);
  const counts = op.max(g, op.cast(g, op.sub(g, lengths, skip), 'float32'), op.float(g, 1));
  const column = (value: Value): Value => op.unsqueeze(g, value, 1);
  const parts = modes.map((mode) => {
    if (mode === 'cls') return op.gather(g, x, op.add(g, layout.firsts, op.where(g, some, skip, op.int64(g, 0))));
    const places = op.range(g, layout.longest, 's');
    const counted = op.and(g, op.greater(g, column(lengths), places), op.not(g, op.greater(g, skip, places))); // (n, s)
    const apart = op.gather(g, x, layout.places);
    if (mode === 'max') {
      const largest = op.reduceMax(g, op.where(g, op.unsqueeze(g, counted, 2), apart, op.float(g, -Infinity)), 1);
      return op.where(g, column(some), largest, op.float(g, 0));
    }
    const weights = column(op.cast(g, counted, 'float32')); // (n, 1, s)
    const sums = op.reshape(g, op.matMul(g, weights, apart), op.int64s(g, -1, hidden), ['n', hidden]);
    return op.div(g, sums, column(mode === 'mean' ? counts : sqrt(g, counts)));
  });
  const pooled = parts.length === 1 ? parts[0]! : op.concat(g, parts, 1, modes.length * hidden);
  const norm = sqrt(g, reduceSum(g, op.mul(g, pooled, pooled), [1], true));
  const unit = op.greater(g, g.input('unit', 'int64', []), op.int64(g, 0));
  return op.div(g, pooled, op.where(g, unit, op.max(g, norm, op.float(g, leastNorm)), op.float(g, 1)));
}
