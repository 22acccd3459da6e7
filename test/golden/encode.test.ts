import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { goldenDirectory as golden } from './golden-directory.js';

const recorded = JSON.parse(readFileSync(join(golden, 'encode.json'), 'utf8'));

/** Largest difference over the largest value of the row it is in. */
function worst(actual: Float32Array, expected: readonly number[], cols: number): number {
  expect(actual.length).toBe(expected.length);
  let result = 0;
  for (let row = 0; row < expected.length; row += cols) {
    let scale = 0;
    let error = 0;
    for (let i = row; i < row + cols; i++) {
      scale = Math.max(scale, Math.abs(expected[i]!));
      error = Math.max(error, Math.abs(actual[i]! - expected[i]!));
    }
    result = Math.max(result, error / scale);
  }
  return result;
}

describe.each(Object.keys(recorded.models))('embeddings of %s', (name) => {
  const expected = recorded.models[name];
  const directory = join(golden, 'models', name);
  const maxSeqLength = recorded.max_seq_length;

  it('with the pooling of its directory', async () => {
    await using model = await SentenceTransformer.load(directory, { maxSeqLength });
    const embeddings = await model.encode(recorded.texts);
    expect([embeddings.rows, embeddings.cols]).toEqual([recorded.texts.length, expected.dim]);
    expect(model.dimension).toBe(expected.dim);
    expect(worst(embeddings.data, expected.mean, expected.dim)).toBeLessThan(1e-5);
    const normalized = await model.encode(recorded.texts, { normalize: true });
    expect(worst(normalized.data, expected.mean_normalized, expected.dim)).toBeLessThan(1e-5);
  });

  it('do not depend on the batch', async () => {
    await using model = await SentenceTransformer.load(directory, { maxSeqLength });
    const alone = await model.encode(recorded.texts, { batchTokens: 1 });
    expect(worst(alone.data, expected.mean, expected.dim)).toBeLessThan(1e-5);
    const one = await model.encode(recorded.texts[3]);
    expect(worst(one, expected.mean.slice(3 * expected.dim, 4 * expected.dim), expected.dim)).toBeLessThan(1e-5);
  });

  it.each(['mean', 'cls', 'max', 'mean_sqrt_len'] as const)('with %s pooling', async (pooling) => {
    await using model = await SentenceTransformer.load(directory, { maxSeqLength, pooling });
    const embeddings = await model.encode(recorded.texts);
    expect(worst(embeddings.data, expected[pooling], expected.dim)).toBeLessThan(1e-5);
  });
});
