import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CrossEncoder,
  CrossEncoderCorrelationEvaluator,
  EmbeddingSimilarityEvaluator,
  InformationRetrievalEvaluator,
  pearson,
  SentenceTransformer,
  spearman,
  trainTestSplit,
} from 'flatrank';
import { describe, expect, it } from 'vitest';
import { goldenDirectory as golden } from './golden-directory.js';

const read = (name: string): any => JSON.parse(readFileSync(join(golden, `${name}.json`), 'utf8'));
const recorded = read('evaluators');
const { sentence1, sentence2, scores, max_seq_length: maxSeqLength, expected } = recorded.sts;

/**
 * The same keys in the same order, values within 1e-6, or within what `rounding` says. Ranks cannot always be that close:
 * torch gives the same text other last bits in another batch, so that equal similarities (in 28 of these 200 pairs both
 * texts are the same) come in the order of its rounding. With the recorded model computed in float64, or run by
 * onnxruntime under Python's own evaluator, the same Spearman correlations are up to 8.3e-4 off the recorded ones.
 */
function expectClose(
  actual: Record<string, number>,
  wanted: Record<string, number>,
  rounding: (name: string) => number = () => 1e-6,
): void {
  expect(Object.keys(actual)).toEqual(Object.keys(wanted));
  for (const [name, value] of Object.entries(wanted))
    expect(Math.abs(actual[name]! - value), `${name}: ${actual[name]!} for ${value}`).toBeLessThanOrEqual(
      rounding(name),
    );
}

it.each<any>(read('correlation'))('correlation %#', (pair) => {
  for (const [measure, wanted] of [
    [pearson, pair.pearson],
    [spearman, pair.spearman],
  ] as const) {
    const value = measure(pair.a, pair.b);
    if (wanted === null) expect(value).toBeNaN();
    else expect(Math.abs(value - wanted)).toBeLessThan(1e-12);
  }
});

describe('evaluators', () => {
  it.each(Object.keys(expected))('EmbeddingSimilarityEvaluator of %s', async (name) => {
    await using model = await SentenceTransformer.load(join(golden, 'models', name), { maxSeqLength });
    const evaluator = new EmbeddingSimilarityEvaluator({
      sentences1: sentence1,
      sentences2: sentence2,
      scores,
      similarityFnNames: ['cosine', 'euclidean', 'manhattan', 'dot'],
    });
    const ofTies = (metric: string): number => (/^spearman_(?!dot)/.test(metric) ? 1e-3 : 1e-6);
    expectClose(await evaluator.evaluate(model), expected[name], ofTies);
    expect(evaluator.primaryMetric).toBe('spearman_cosine');
  });

  it.each(Object.keys(recorded.cross_correlation))('CrossEncoderCorrelationEvaluator of %s', async (name) => {
    await using model = await CrossEncoder.load(join(golden, 'models', name), { maxLength: maxSeqLength });
    const sentencePairs = sentence1.map((text: string, i: number) => [text, sentence2[i]]);
    const evaluator = new CrossEncoderCorrelationEvaluator({ sentencePairs, scores });
    // The models' scores lie within 0.002 of each other: the last bits of float32 are 3e-5 of that, and swap ranks.
    const ofBits = (metric: string): number => (metric === 'spearman' ? 3e-4 : 2e-6);
    expectClose(await evaluator.evaluate(model), recorded.cross_correlation[name], ofBits);
    expect(evaluator.primaryMetric).toBe('spearman');
  });

  it('InformationRetrievalEvaluator', async () => {
    const { model: name, queries, corpus, relevant: relevantDocs, expected: wanted } = recorded.information_retrieval;
    await using model = await SentenceTransformer.load(join(golden, 'models', name), { maxSeqLength });
    const evaluator = new InformationRetrievalEvaluator({ queries, corpus, relevantDocs });
    expectClose(await evaluator.evaluate(model), wanted);
    expect(evaluator.primaryMetric).toBe('cosine_ndcg@10');
  });
});

it.each<any>(read('split'))(
  'the split of $n rows, test size $test_size, seed $seed',
  ({ n, test_size: testSize, seed, ...split }) => {
    const rows = Array.from({ length: n }, (_, i) => i);
    const { train, test } = trainTestSplit(rows, { testSize, seed });
    const checksum = (part: number[]): string => createHash('sha256').update(part.join(',')).digest('hex');
    expect([train.length, test.length]).toEqual([split.n_train, split.n_test]);
    expect(train.slice(0, 20)).toEqual(split.train_first);
    expect(test.slice(0, 20)).toEqual(split.test_first);
    expect([checksum(train), checksum(test)]).toEqual([split.train_sha256, split.test_sha256]);
  },
);
