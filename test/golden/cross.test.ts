import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CrossEncoder, FlatrankError } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { copyWithOnly, modelKinds } from '../unit/model-directories.js';
import { goldenDirectory as golden } from './golden-directory.js';

const recorded = JSON.parse(readFileSync(join(golden, 'cross.json'), 'utf8'));

function expectClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  const error = Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value)));
  expect(error / scale).toBeLessThan(1e-5);
}

const cases = Object.keys(recorded.models).flatMap((name) => modelKinds.map((kind) => [name, kind] as const));

describe.each(cases)('scores of %s from its %s', (name, kind) => {
  const expected = recorded.models[name];
  const maxLength = recorded.max_length;

  it('with its own activation and with none', async () => {
    await using model = await CrossEncoder.load(await copyWithOnly(name, kind), { maxLength });
    expectClose(await model.predict(recorded.pairs), expected.predict);
    expectClose(await model.predict(recorded.pairs, { activation: 'none' }), expected.logits);
    expect(model.numLabels * recorded.pairs.length).toBe(expected.predict.length);
  });

  it('with softmax and sigmoid', async () => {
    await using model = await CrossEncoder.load(await copyWithOnly(name, kind), { maxLength });
    const labels = model.numLabels;
    const sums = Array.from(expected.logits as number[], (_, i) => {
      const row = expected.logits.slice(i - (i % labels), i - (i % labels) + labels);
      return row.reduce((sum: number, x: number) => sum + Math.exp(x), 0);
    });
    const softmax = expected.logits.map((x: number, i: number) => Math.exp(x) / sums[i]!);
    expectClose(await model.predict(recorded.pairs, { activation: 'softmax' }), softmax);
    const sigmoid = expected.logits.map((x: number) => 1 / (1 + Math.exp(-x)));
    expectClose(await model.predict(recorded.pairs, { activation: 'sigmoid' }), sigmoid);
  });

  it.runIf(expected.rank)('ranked', async () => {
    await using model = await CrossEncoder.load(await copyWithOnly(name, kind), { maxLength });
    const { query, documents, top_k: topK, result } = expected.rank;
    const ranked = await model.rank(query, documents, { topK });
    expect(ranked.map(({ corpusId }) => corpusId)).toEqual(result.map((r: { corpus_id: number }) => r.corpus_id));
    expectClose(
      ranked.map(({ score }) => score),
      result.map((r: { score: number }) => r.score),
    );
    for (const { corpusId, text } of ranked) expect(text).toBe(documents[corpusId]);
    expect(await model.rank(query, documents)).toHaveLength(documents.length);
  });

  it.runIf(!expected.rank)('refuses to rank with several labels', async () => {
    await using model = await CrossEncoder.load(await copyWithOnly(name, kind), { maxLength });
    const error = await model.rank('a', ['b']).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FlatrankError);
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });
});
