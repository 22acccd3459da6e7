import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { copyWithOnly, modelKinds } from '../unit/model-directories.js';
import { worst } from './closeness.js';
import { goldenDirectory as golden } from './golden-directory.js';

const recorded = JSON.parse(readFileSync(join(golden, 'encode.json'), 'utf8'));
const texts: string[] = recorded.texts;
const cases = Object.keys(recorded.models).flatMap((name) => modelKinds.map((kind) => [name, kind] as const));

describe.each(cases)('embeddings of %s from its %s', (name, kind) => {
  const expected = recorded.models[name];
  const maxSeqLength = recorded.max_seq_length;

  it('with the pooling of its directory', async () => {
    await using model = await SentenceTransformer.load(await copyWithOnly(name, kind), { maxSeqLength });
    const embeddings = await model.encode(texts);
    expect([embeddings.rows, embeddings.cols]).toEqual([texts.length, expected.dim]);
    expect(model.dimension).toBe(expected.dim);
    expect(worst(embeddings.data, expected.mean, expected.dim)).toBeLessThan(1e-5);
    const normalized = await model.encode(texts, { normalize: true });
    expect(worst(normalized.data, expected.mean_normalized, expected.dim)).toBeLessThan(1e-5);
  });

  it('do not depend on the batch', async () => {
    await using model = await SentenceTransformer.load(await copyWithOnly(name, kind), { maxSeqLength });
    const alone = await model.encode(texts, { batchTokens: 1 });
    expect(worst(alone.data, expected.mean, expected.dim)).toBeLessThan(1e-5);
    const one = await model.encode(texts[3]!);
    expect(worst(one, expected.mean.slice(3 * expected.dim, 4 * expected.dim), expected.dim)).toBeLessThan(1e-5);
  });

  it.each(['mean', 'cls', 'max', 'mean_sqrt_len'] as const)('with %s pooling', async (pooling) => {
    await using model = await SentenceTransformer.load(await copyWithOnly(name, kind), { maxSeqLength, pooling });
    const embeddings = await model.encode(texts);
    expect(worst(embeddings.data, expected[pooling], expected.dim)).toBeLessThan(1e-5);
  });
});
