import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FlatrankError,
  IDSelector,
  IDSelectorAll,
  IDSelectorAnd,
  IDSelectorArray,
  IDSelectorBatch,
  IDSelectorBitmap,
  IDSelectorNot,
  IDSelectorOr,
  IDSelectorRange,
  IDSelectorXOr,
  IndexFlatIP,
  IndexFlatL2,
} from 'flatrank';

/** What a selector of everything gives while rows are added: all of an addition, or nothing. */
it('sees no part of an addition that ends while the selector is asked', async () => {
  const index = new IndexFlatL2(1);
  await index.add(Float32Array.from({ length: 301 }, () => 9));
  for (const everything of [new IDSelectorAll(), new IDSelectorNot(new IDSelectorBatch([]))]) {
    const before = index.ntotal;
    const adding = index.add(new Float32Array(50));
    const found: number[] = [];
    while (index.ntotal === before) {
      const search = index.search(new Float32Array(1), 50, { selector: everything });
      const { distances } = await search;
      found.push(distances.filter((distance) => distance === 0).length);
    }
    await adding;
    for (const count of found) expect([before > 301 ? 50 : 0, 50]).toContain(count);
  }
  await index.dispose();
});

it('copies what selectors are made of', async () => {
  const index = new IndexFlatL2(1);
  await index.add(Float32Array.of(0, 1, 2, 3));
  const ids = Int32Array.of(0);
  const bits = Uint8Array.of(0b0010);
  const [first, second] = [new IDSelectorArray(ids), new IDSelectorBitmap(bits)];
  const removed = index.removeIds(new IDSelectorOr(first, second));
  ids[0] = 3;
  bits[0] = 0b1000;
  expect(await removed).toBe(2);
  expect([index.reconstruct(0)[0], index.reconstruct(1)[0]]).toEqual([2, 3]);
  await index.dispose();
});

const n = 300;
const d = 40;

function random(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24 - 0.5;
  });
}

const rows = random(n * d, 1);
const queries = random(3 * d, 2);

const ids = fc.array(fc.nat({ max: n + 20 }), { maxLength: 60 });
const leaf: fc.Arbitrary<IDSelector> = fc.oneof(
  fc.constant(new IDSelectorAll()),
  fc.tuple(fc.nat({ max: n + 20 }), fc.nat({ max: n + 20 })).map(([a, b]) => new IDSelectorRange(a, b)),
  ids.map((list) => new IDSelectorArray(list)),
  ids.map((list) => new IDSelectorBatch(Int32Array.from(list))),
  fc.uint8Array({ maxLength: n / 8 + 3 }).map((bitmap) => new IDSelectorBitmap(bitmap)),
);
const { selector } = fc.letrec<{ selector: IDSelector }>((tie) => ({
  selector: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    tie('selector').map((s) => new IDSelectorNot(s)),
    fc.array(tie('selector'), { minLength: 1, maxLength: 3 }).map((list) => new IDSelectorAnd(...list)),
    fc.array(tie('selector'), { minLength: 1, maxLength: 3 }).map((list) => new IDSelectorOr(...list)),
    fc.array(tie('selector'), { minLength: 1, maxLength: 3 }).map((list) => new IDSelectorXOr(...list)),
  ),
}));

describe('selectors', () => {
  it('search exactly the rows that they hold', async () => {
    const indexes = [new IndexFlatL2(d), new IndexFlatIP(d, { codes: 'none' })];
    for (const index of indexes) await index.add(rows);
    const everything = await Promise.all(indexes.map((index) => index.search(queries, n)));
    await fc.assert(
      fc.asyncProperty(selector, fc.integer({ min: 1, max: 40 }), async (chosen, k) => {
        for (const [i, index] of indexes.entries()) {
          const found = await index.search(queries, k, { selector: chosen });
          for (let j = 0; j < 3; j++) {
            // What a search of all rows finds, without those that are left out.
            const expected = [...everything[i]!.labels.subarray(j * n, (j + 1) * n)]
              .filter((label) => chosen.isMember(label))
              .slice(0, k);
            while (expected.length < k) expected.push(-1);
            expect([...found.labels.subarray(j * k, (j + 1) * k)]).toEqual(expected);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('of one’s own need only isMember', async () => {
    class Even extends IDSelector {
      isMember(id: number): boolean {
        return id % 2 === 0;
      }
    }
    const index = new IndexFlatL2(d);
    await index.add(rows);
    const { labels } = await index.search(queries, n, { selector: new Even() });
    const found = [...labels].filter((label) => label >= 0);
    expect(found.length).toBe((3 * n) / 2);
    expect(found.every((label) => label % 2 === 0)).toBe(true);
  });

  it('remove what they hold, and the rest moves up', async () => {
    await fc.assert(
      fc.asyncProperty(selector, async (chosen) => {
        const index = new IndexFlatL2(d);
        await index.add(rows);
        const kept = Array.from({ length: n }, (_, i) => i).filter((i) => !chosen.isMember(i));
        expect(await index.removeIds(chosen)).toBe(n - kept.length);
        expect(index.ntotal).toBe(kept.length);
        for (const [label, old] of kept.entries())
          if (label % 17 === 0) expect(index.reconstruct(label)).toEqual(rows.slice(old * d, (old + 1) * d));
        const left = new IndexFlatL2(d);
        await left.add(Float32Array.from(kept.flatMap((i) => [...rows.subarray(i * d, (i + 1) * d)])));
        expect(await index.search(queries, 9)).toEqual(await left.search(queries, 9));
      }),
      { numRuns: 40 },
    );
  });

  it('are copied before the call returns', async () => {
    const index = new IndexFlatL2(d);
    await index.add(rows);
    const bitmap = Uint8Array.of(0, 2); // row 9
    const searching = index.search(queries, 1, { selector: new IDSelectorBitmap(bitmap) });
    bitmap.fill(0);
    expect([...(await searching).labels]).toEqual([9, 9, 9]);
  });

  it('refuse what is no set of labels', async () => {
    const bad: (() => unknown)[] = [
      () => new IDSelectorRange(-1, 3),
      () => new IDSelectorRange(0, 1.5),
      () => new IDSelectorArray([1, -2]),
      () => new IDSelectorArray([NaN]),
      () => new IDSelectorBatch('12' as unknown as number[]),
      () => new IDSelectorBitmap([1] as unknown as Uint8Array),
      () => new IDSelectorNot(undefined as unknown as IDSelector),
      () => new IDSelectorAnd(),
      () => new IDSelectorOr(Object.create(null) as IDSelector),
    ];
    for (const make of bad) expect(make).toThrow(FlatrankError);
    const index = new IndexFlatL2(d);
    await index.add(rows);
    const selector = 'all' as unknown as IDSelector;
    await expect(index.search(queries, 1, { selector })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(index.removeIds(selector)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(index.removeIds(undefined as unknown as IDSelector)).rejects.toThrow(FlatrankError);
    expect(index.ntotal).toBe(n);
  });
});
