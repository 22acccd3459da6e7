import { native, runNative } from '../native.js';
import type { Backend, BackendOutput, TokenBatch } from '../runtime/backend.js';
import { applyDense } from './dense.js';
import type { Step } from './directory.js';
import type { PoolingPlan } from './pooling-config.js';
import { normalizeRows } from './similarity.js';

/** From token vectors to embeddings: pooling, the modules after it, and what a call asks for besides. */
export interface EmbeddingPlan {
  /** Values of a token vector. */
  readonly hidden: number;
  readonly pooling: PoolingPlan;
  readonly steps: readonly Step[];
  /** Embeddings are cut to so many values. */
  readonly truncateDim: number | undefined;
  /** Embeddings are scaled to unit length, after everything else. */
  readonly normalize: boolean;
  /** Tokens at the start of every text that are not pooled. */
  readonly skip: number;
}

/** Values of one embedding. */
export function embeddingSize({ hidden, pooling, steps, truncateDim }: EmbeddingPlan): number {
  const size = steps.reduce(
    (width, step) => (step.type === 'dense' ? step.dense.outFeatures : width),
    hidden * pooling.modes.length,
  );
  return truncateDim === undefined ? size : Math.min(size, truncateDim);
}

/** The embeddings of a batch (n · {@link embeddingSize}). */
export async function embed(backend: Backend, batch: TokenBatch, plan: EmbeddingPlan): Promise<Float32Array> {
  const { hidden, steps, truncateDim } = plan;
  const { modes } = plan.pooling;
  const [next] = steps;
  const whole = truncateDim === undefined || truncateDim >= hidden;
  // The first normalisation comes with pooling where nothing is in between.
  const fused = modes.length === 1 && (next ? next.type === 'normalize' : plan.normalize && whole);
  let rows = await pooled(backend, batch, plan, fused);
  let width = hidden * modes.length;

  for (const [i, step] of steps.entries()) {
    if (step.type === 'dense') {
      rows = applyDense(step.dense, rows);
      width = step.dense.outFeatures;
    } else if (i > 0 || !fused) normalizeRows(rows, width);
  }
  const size = embeddingSize(plan);
  if (size < width) rows = cut(rows, width, size);
  if (plan.normalize && !(fused && steps.length === 0)) normalizeRows(rows, size);
  return rows;
}

/** (n · modes · hidden) by the model where it pools itself, else by native/pool. */
async function pooled(
  backend: Backend,
  batch: TokenBatch,
  { hidden, pooling: { modes }, skip }: EmbeddingPlan,
  normalize: boolean,
): Promise<Float32Array> {
  const output = await backend.run(batch, { skip, normalize });
  if (backend.output === 'pooled') return output.data;
  const lengths = batch.starts.slice(1).map((end, i) => end - batch.starts[i]!);
  const parts: Float32Array[] = [];
  for (const mode of modes) parts.push(await poolOne(output, lengths, skip, mode, normalize));
  return parts.length === 1 ? parts[0]! : interleave(parts, hidden, lengths.length);
}

async function poolOne(
  { data, cols, offsets }: BackendOutput,
  lengths: Int32Array,
  skip: number,
  mode: PoolingPlan['modes'][number],
  normalize: boolean,
): Promise<Float32Array> {
  // A text with no token left keeps its first: that is its cls vector; the other modes give zeros for it.
  const skipped = lengths.map((length) => (length > skip ? skip : 0));
  const from = offsets.map((offset, i) => offset + skipped[i]!);
  const count = lengths.map((length) => (length > skip ? length - skip : 1));
  const rows = await runNative(undefined, () => native().pool(data, from, count, cols, mode, normalize));
  if (skip > 0 && mode !== 'cls')
    for (const [i, length] of lengths.entries()) if (length <= skip) rows.fill(0, i * cols, (i + 1) * cols);
  return rows;
}

/** Concatenates the rows of several matrices of `cols` columns. */
function interleave(parts: readonly Float32Array[], cols: number, count: number): Float32Array {
  const rows = new Float32Array(parts.length * cols * count);
  for (let i = 0; i < count; i++)
    for (const [p, part] of parts.entries())
      rows.set(part.subarray(i * cols, (i + 1) * cols), (i * parts.length + p) * cols);
  return rows;
}

/** The first `size` of `width` columns. */
function cut(rows: Float32Array, width: number, size: number): Float32Array {
  const count = rows.length / width;
  const result = new Float32Array(count * size);
  for (let i = 0; i < count; i++) result.set(rows.subarray(i * width, i * width + size), i * size);
  return result;
}
