import { expect, it } from 'vitest';
import { planBatches, TokenStore } from '../../dist/model/batching.js';

it('sorts by length, longest first, and cuts by padded tokens', () => {
  const lengths = Int32Array.of(3, 9, 5, 5, 2, 30);
  const batches = planBatches(lengths, 10).map((batch) => [...batch]);
  expect(batches).toEqual([[5], [1], [2, 3], [0, 4]]);
});

it('keeps every text once, and no batch over the budget but a single text', () => {
  const lengths = Int32Array.from({ length: 500 }, (_, i) => 1 + ((i * 7919) % 97));
  const batches = planBatches(lengths, 64);
  expect(batches.flatMap((b) => [...b]).sort((a, b) => a - b)).toEqual([...lengths.keys()]);
  for (const batch of batches) expect(batch.length === 1 || batch.length * lengths[batch[0]!]! <= 64).toBe(true);
});

it('leaves texts of more than 1,024 tokens alone, whatever fits', () => {
  const batches = planBatches(Int32Array.of(10, 1500, 1024, 2000, 1024), 4096).map((batch) => [...batch]);
  expect(batches).toEqual([[3], [1], [2, 4, 0]]);
});

it('stores tokens and gathers batches of them', () => {
  const store = new TokenStore();
  const long = Array.from({ length: 3000 }, (_, i) => i);
  store.push({ ids: [1, 2], typeIds: [0, 1], truncated: false });
  store.push({ ids: long, typeIds: long.map(() => 1), truncated: true });
  store.push({ ids: [7], typeIds: [0], truncated: false });
  expect([...store.lengths()]).toEqual([2, 3000, 1]);
  expect([...store.truncated]).toEqual([1]);
  const { ids, typeIds, starts } = store.gather(Int32Array.of(2, 0));
  expect([[...ids], [...typeIds], [...starts]]).toEqual([
    [7, 1, 2],
    [0, 0, 1],
    [0, 1, 3],
  ]);
  expect([...store.gather(Int32Array.of(1)).ids]).toEqual(long);
});
