import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readModelDirectory } from '../../dist/model/directory.js';
import { openEncoder } from '../../dist/model/open-encoder.js';
import { embed, type EmbeddingPlan } from '../../dist/model/pool.js';
import type { PoolingMode } from '../../dist/native.js';
import type { Backend, TokenBatch } from '../../dist/runtime/backend.js';
import { goldenDirectory } from '../golden/golden-directory.js';

const opened: Backend[] = [];
afterAll(async () => {
  for (const backend of opened) await backend.dispose();
});

/** A golden model that gives token vectors, or pools them itself. */
async function open(name: string, pooling: readonly PoolingMode[] | undefined): Promise<Backend> {
  const directory = await readModelDirectory(join(goldenDirectory, 'models', name));
  const options = { output: 'hidden', processor: 'cpu', precision: 'float32', threads: 1, padId: 0 } as const;
  const { backend } = await openEncoder(directory, { ...options, pooling, from: { type: 'directory' } });
  opened.push(backend);
  return backend;
}

/** Texts of so many tokens, of ids that are no padding. */
function batchOf(...lengths: number[]): TokenBatch {
  const starts = Int32Array.from([0, ...lengths]);
  for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
  const ids = Int32Array.from({ length: starts.at(-1)! }, (_, i) => 5 + ((i * 7919) % 50));
  return { ids, typeIds: new Int32Array(ids.length), starts };
}

const batches = [batchOf(7), batchOf(4, 4, 4), batchOf(9, 6, 3, 2, 1), batchOf(2, 12)];
const modes: readonly (readonly PoolingMode[])[] = [
  ['mean'],
  ['cls'],
  ['max'],
  ['mean_sqrt_len'],
  ['cls', 'max', 'mean'],
];

it.each(['tiny-bert', 'tiny-roberta'])('pools in the graph of %s as native/pool does', async (name) => {
  const apart = await open(name, undefined);
  const { cols: hidden } = await apart.run(batches[0]!);
  for (const mode of modes) {
    const together = await open(name, mode);
    expect([apart.output, together.output]).toEqual(['hidden', 'pooled']);
    for (const batch of batches)
      for (const skip of [0, 1, 3])
        for (const normalize of [false, true]) {
          const pooling = { modes: mode, includePrompt: false };
          const plan: EmbeddingPlan = { hidden, pooling, steps: [], truncateDim: undefined, normalize, skip };
          const [rows, expected] = [await embed(together, batch, plan), await embed(apart, batch, plan)];
          expect(rows.length).toBe(expected.length);
          const differences = rows.map((value, i) => Math.abs(value - expected[i]!) / Math.max(1, Math.abs(value)));
          expect(Math.max(...differences)).toBeLessThan(2e-6);
        }
  }
});
