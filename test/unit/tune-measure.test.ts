/** Measures of the road, on cases that can be worked out by hand. */
import { describe, expect, it } from 'vitest';
import { blendedRanks, changeOf, chooseBlend, hitRateAt, measuresOf, mrrAt, signTest } from '../../lib/tune/measure.js';

describe('measures over ranks', () => {
  it('counts hits and reciprocal ranks up to k', () => {
    const ranks = [0, 2, -1, 11];
    expect(hitRateAt(ranks, 1)).toBe(0.25);
    expect(hitRateAt(ranks, 3)).toBe(0.5);
    expect(hitRateAt(ranks, 12)).toBe(0.75);
    expect(mrrAt(ranks, 10)).toBeCloseTo((1 + 1 / 3) / 4);
    expect(measuresOf(ranks, 10, 30).hitRates).toEqual({ 1: 0.25, 3: 0.5, 5: 0.5, 10: 0.5, 30: 0.75 });
    expect(Object.keys(measuresOf(ranks, 4, 4).hitRates)).toEqual(['1', '3', '4']);
  });

  it('orders by logit + weight · score, equal ones in the order of the candidates', () => {
    const logits = [[0, 1, 0]];
    const scores = [[0.9, 0.1, 0.9]];
    expect(blendedRanks([0], logits, scores, 0)).toEqual([1]);
    expect(blendedRanks([2], logits, scores, 0)).toEqual([2]);
    expect(blendedRanks([0], logits, scores, 10)).toEqual([0]);
    expect(blendedRanks([2], logits, scores, 10)).toEqual([1]);
    expect(blendedRanks([-1], logits, scores, 10)).toEqual([-1]);
  });

  it('chooses the weight that helps most, and the smallest of equal ones', () => {
    const scores = [
      [0.9, 0.1],
      [0.9, 0.2],
    ];
    const wrong = [
      [0, 1],
      [0, 1],
    ];
    const { weight, tried } = chooseBlend([0, 0], wrong, scores, 10);
    expect(tried[0]).toEqual({ weight: 0, hitRate: 1, mrr: 0.5 });
    expect(weight).toBe(tried.find(({ mrr }) => mrr === 1)!.weight);
    const right = [
      [1, 0],
      [1, 0],
    ];
    expect(chooseBlend([0, 0], right, scores, 10).weight).toBe(0);
    // Scores that say nothing: all weights are alike.
    expect(chooseBlend([0], [[1, 0]], [[0.5, 0.5]], 10).weight).toBe(0);
  });

  it('tests the sign of changes, two-sided', () => {
    expect(signTest(0, 0)).toBe(1);
    expect(signTest(1, 0)).toBe(1);
    expect(signTest(10, 3)).toBeCloseTo(0.0923, 4);
    expect(signTest(66, 22)).toBeCloseTo(2.9e-6, 7);
    expect(signTest(3, 10)).toBeCloseTo(signTest(10, 3));
    expect(signTest(900, 800)).toBeGreaterThan(0.01);
  });

  it('tells which questions a step wins and loses', () => {
    const rows = ['a', 'b', 'c'].map((question) => ({ question, context: `${question}'s` }));
    const change = changeOf({ name: 'base', ranks: [0, 4, 12] }, { name: 'tuned', ranks: [1, 0, 3] }, rows, 10);
    expect(change.counts['1']).toEqual({ won: 1, lost: 1, p: 1 });
    expect(change.counts['10']).toMatchObject({ won: 1, lost: 0 });
    expect(change.won).toEqual([{ question: 'c', context: "c's", from: null, to: 4 }]);
  });
});
