import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexFlatIP, IndexFlatL2, type IndexFlatOptions } from 'flatrank';

/** The definition: values widened to 64 bits, eight partial sums by i mod 8, combined pairwise. */
function key(metric: 'l2' | 'ip', x: Float32Array, q: Float32Array): number {
  const sums = new Float64Array(8);
  for (let i = 0; i < x.length; i++) {
    const term = metric === 'l2' ? (x[i]! - q[i]!) ** 2 : x[i]! * q[i]!;
    sums[i % 8]! += term;
  }
  const [a, b, c, e, f, g, h, l] = sums;
  return a! + b! + (c! + e!) + (f! + g! + (h! + l!));
}

function bruteForce(
  metric: 'l2' | 'ip',
  rows: Float32Array,
  queries: Float32Array,
  d: number,
  k: number,
): { labels: number[]; distances: number[] } {
  const labels: number[] = [];
  const distances: number[] = [];
  const sign = metric === 'l2' ? 1 : -1;
  for (let j = 0; j < queries.length; j += d) {
    const keys = Array.from({ length: rows.length / d }, (_, i) => ({
      i,
      key: key(metric, rows.subarray(i * d, (i + 1) * d), queries.subarray(j, j + d)),
    }));
    keys.sort((a, b) => sign * (a.key - b.key) || a.i - b.i);
    for (let i = 0; i < k; i++) {
      labels.push(keys[i]?.i ?? -1);
      distances.push(keys[i] ? Math.fround(keys[i]!.key) : sign * Infinity);
    }
  }
  return { labels, distances };
}

/** Any finite fp32 value, denormals and the largest included. */
const anyFloat = fc.float({ noNaN: true, noDefaultInfinity: true });
/** Values so few that many distances are equal. */
const fewValues = fc.constantFrom(-1, 0, 0.5, 1);
/** Values of one scale, around an offset. */
const scaled = fc
  .tuple(fc.constantFrom(1e-20, 1e-6, 1, 1e6, 1e18), fc.constantFrom(0, 0, 3, 1000))
  .chain(([scale, offset]) =>
    fc.constant(fc.integer({ min: -1000, max: 1000 }).map((v) => Math.fround((v / 1000 + offset) * scale))),
  );

const cases = fc
  .tuple(
    fc.oneof(fc.constant(anyFloat), fc.constant(fewValues), scaled),
    fc.constantFrom(1, 2, 7, 31, 32, 33, 67),
    fc.integer({ min: 1, max: 40 }),
    // Repeated often enough, the rows are as many as it takes for codes to be made.
    fc.constantFrom(1, 2, 90),
    fc.integer({ min: 1, max: 20 }),
  )
  .chain(([value, d, distinct, copies, nq]) =>
    fc.record({
      d: fc.constant(d),
      copies: fc.constant(copies),
      base: fc.array(value as fc.Arbitrary<number>, { minLength: distinct * d, maxLength: distinct * d }),
      queries: fc.array(value as fc.Arbitrary<number>, { minLength: nq * d, maxLength: nq * d }),
      k: fc.integer({ min: 1, max: 60 }),
    }),
  );

describe('exact search', () => {
  const runs = Number(process.env['FLATRANK_FUZZ_RUNS'] ?? 60);

  it.each([
    ['l2', IndexFlatL2],
    ['ip', IndexFlatIP],
  ] as const)('%s is the definition, on any finite values', async (metric, Index) => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ d, copies, base, queries, k }) => {
        const rows = new Float32Array(base.length * copies);
        for (let c = 0; c < copies; c++) rows.set(base, c * base.length);
        const q = Float32Array.from(queries);
        q.set(rows.subarray(0, d)); // a row is a query
        const expected = bruteForce(metric, rows, q, d, k);
        for (const options of [{}, { codes: 'none' }, { threads: 1 }] as IndexFlatOptions[]) {
          await using index = new Index(d, options);
          await index.add(rows);
          const found = await index.search(q, k);
          expect([...found.labels]).toEqual(expected.labels);
          // −0 and 0 are the same distance
          expect([...found.distances].map((v) => v + 0)).toEqual(expected.distances.map((v) => v + 0));
        }
      }),
      { numRuns: runs },
    );
  });

  it('finds all rows within a radius, nearest first', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat({ max: 30 }), async ({ d, copies, base, queries }, rank) => {
        const rows = new Float32Array(base.length * copies);
        for (let c = 0; c < copies; c++) rows.set(base, c * base.length);
        const q = Float32Array.from(queries);
        const n = rows.length / d;
        const all = bruteForce('l2', rows, q, d, n);
        await using index = new IndexFlatL2(d);
        await index.add(rows);
        const label = all.labels[Math.min(rank, n - 1)]!;
        const radius = key('l2', rows.subarray(label * d, (label + 1) * d), q.subarray(0, d));
        const { limits, labels, distances } = await index.rangeSearch(q, radius);
        expect(limits[0]).toBe(0);
        for (let j = 0; j < q.length / d; j++) {
          const expected = all.labels
            .slice(j * n, (j + 1) * n)
            .filter((i) => key('l2', rows.subarray(i * d, (i + 1) * d), q.subarray(j * d, (j + 1) * d)) < radius);
          expect([...labels.subarray(limits[j], limits[j + 1])]).toEqual(expected);
          expect([...distances.subarray(limits[j], limits[j + 1])]).toEqual(
            all.distances.slice(j * n, j * n + expected.length),
          );
        }
      }),
      { numRuns: runs },
    );
  });
});
