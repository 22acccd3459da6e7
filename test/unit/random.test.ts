import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Generator, type Seed } from '../../lib/random/index.js';

const { random: recorded } = JSON.parse(
  readFileSync(new URL('../fixtures/evaluators/recorded.json', import.meta.url), 'utf8'),
);

describe('numpy.random.default_rng', () => {
  test.each<any>(recorded)('with the seed $seed', (one) => {
    const seed: Seed = Array.isArray(one.seed) ? one.seed.map(BigInt) : BigInt(one.seed);
    expect([...new Generator(seed).permutation(23)]).toEqual(one.permutation);
    const doubles = new Generator(seed);
    expect(one.random.map(() => doubles.random())).toEqual(one.random);
    const bounded = new Generator(seed);
    for (const [high, value] of one.integers) expect(bounded.integers(high)).toBe(value);
  });

  test('a number and a bigint are the same seed', () => {
    expect(new Generator(42).random()).toBe(new Generator(42n).random());
  });

  test('shuffle moves anything, and nothing where there is nothing to move', () => {
    expect(new Generator(1).shuffle(['a', 'b', 'c', 'd']).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect(new Generator(1).shuffle([])).toEqual([]);
    expect([...new Generator(1).permutation(1)]).toEqual([0]);
  });

  test.each([-1, 1.5, NaN, 2 ** 53, -1n, 'x', undefined, [1, -1]])('refuses the seed %s', (seed) => {
    expect(() => new Generator(seed as Seed)).toThrow(/Expected `seed` to be an integer of at least 0/);
  });
});
