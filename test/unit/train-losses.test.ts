/** Every loss, and its gradient, against sentence-transformers over random embeddings (fixtures/make_losses.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../lib/graph/gradient.js';
import { Graph, type Value } from '../../lib/graph/graph.js';
import { lossFeeds, scoreLoss } from '../../lib/train/loss-graph.js';
import * as losses from '../../lib/train/losses.js';
import { lossGraph } from '../../lib/train/training-graph.js';
import { interpret, tensor, type Tensor } from './graph-interpreter.js';

const recorded = JSON.parse(readFileSync(new URL('../fixtures/losses.json', import.meta.url), 'utf8'));
const { examples, dimension, labels, embeddings } = recorded;

const makers: Record<string, (o: any) => losses.Loss> = {
  CosineSimilarityLoss: () => new losses.CosineSimilarityLoss(),
  MultipleNegativesRankingLoss: (o) => new losses.MultipleNegativesRankingLoss(o),
  CoSENTLoss: (o) => new losses.CoSENTLoss(o),
  TripletLoss: (o) => new losses.TripletLoss(o),
  MSELoss: () => new losses.MSELoss(),
  MatryoshkaLoss: ({ inner, ...o }) => new losses.MatryoshkaLoss(makers[inner]!({}) as losses.EmbeddingLoss, o),
  BinaryCrossEntropyLoss: (o) => new losses.BinaryCrossEntropyLoss(o),
  CrossEntropyLoss: () => new losses.CrossEntropyLoss(),
};

function feedsOf(own: readonly number[] | readonly number[][], classes: number): Map<string, Tensor> {
  const made = own.map((label) => (typeof label === 'number' ? label : Float32Array.from(label)));
  const feeds = Object.entries(lossFeeds(made, examples, classes));
  // In fp64, labels are what was recorded, not their rounding.
  const exact: Record<string, number[]> = { inverse_count: [1 / examples] };
  if (classes === 1) exact['labels'] = own.flat();
  return new Map(feeds.map(([name, { data, shape }]) => [name, tensor(shape, exact[name] ?? data)]));
}

function check([value, gradient]: Tensor[], expected: { value: number; gradient: number[] }): void {
  expect(Math.abs(value!.data[0]! - expected.value)).toBeLessThan(1e-6);
  expect(gradient!.data.length).toBe(expected.gradient.length);
  expected.gradient.forEach((g, i) => {
    expect(Math.abs(gradient!.data[i]! - g)).toBeLessThan(1e-6);
  });
}

describe('losses against sentence-transformers', () => {
  for (const c of recorded.cases)
    it(`${c.loss} ${JSON.stringify(c.options)} ${c.columns ?? c.classes}`, () => {
      const loss = makers[c.loss]!(c.options);
      if (c.logits) {
        const g = new Graph();
        const logits = g.input('logits', 'float32', ['n', c.classes]);
        const value = scoreLoss(g, loss as losses.CrossEncoderLoss, logits);
        const { dense } = differentiate(g, value, { wanted: [logits] }).get(logits)!;
        const feeds = feedsOf(c.labels, c.classes).set('logits', tensor([examples, c.classes], c.logits));
        check(interpret(g, feeds, [value, dense!]), c);
        return;
      }
      const g = lossGraph(loss as losses.EmbeddingLoss, c.columns, dimension);
      const rows = c.columns * examples;
      const feeds = feedsOf(losses.needsLabel(loss) ? (c.labels ?? labels) : [], 1);
      feeds.set('embeddings', tensor([rows, dimension], embeddings.slice(0, rows * dimension)));
      const output = (name: string): Value => g.outputs.find((o) => o.name === name)!.value;
      check(interpret(g, feeds, [output('loss'), output('embedding_gradient')]), c);
    });
});

describe('descriptions of losses', () => {
  it.each([
    () => new losses.MultipleNegativesRankingLoss({ scale: 0 }),
    () => new losses.MultipleNegativesRankingLoss({ similarity: 'l2' as never }),
    () => new losses.CachedMultipleNegativesRankingLoss({ miniBatchSize: 0 }),
    () => new losses.TripletLoss({ margin: NaN }),
    () => new losses.MatryoshkaLoss(new losses.CoSENTLoss(), { dimensions: [] }),
    () => new losses.MatryoshkaLoss(new losses.CoSENTLoss(), { dimensions: [4], weights: [1, 2] }),
    () => new losses.BinaryCrossEntropyLoss({ posWeight: -1 }),
  ])('refuse bad constants: %s', (make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });
});
