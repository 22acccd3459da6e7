import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { IndexFlatIP, IndexFlatL2, Matrix } from 'flatrank';
import { goldenDirectory } from './golden-directory.js';

interface Recorded {
  n: number;
  d: number;
  nq: number;
  k: number;
  distances: number[];
  labels: number[];
}

function floats(name: string): Float32Array {
  const bytes = readFileSync(path.join(goldenDirectory, name));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** Distances so close that fp32 rounding may have decided their order. */
const close = (a: number, b: number): boolean => Math.abs(a - b) <= 4e-6 * Math.max(1, Math.abs(a), Math.abs(b));

describe.each([
  ['IndexFlatL2', IndexFlatL2],
  ['IndexFlatIP', IndexFlatIP],
] as const)('faiss %s', (name, Index) => {
  const { n, d, nq, k, distances, labels } = JSON.parse(
    readFileSync(path.join(goldenDirectory, `faiss-${name}.json`), 'utf8'),
  ) as Recorded;
  const vectors = floats('faiss-vectors.f32');
  const queries = floats('faiss-queries.f32');

  /** In fp64, in any order: enough to tell which of two rows is nearer. */
  function key(query: number, label: number): number {
    let sum = 0;
    for (let i = 0; i < d; i++) {
      const x = vectors[label * d + i]!;
      const q = queries[query * d + i]!;
      sum += name === 'IndexFlatL2' ? (x - q) ** 2 : x * q;
    }
    return sum;
  }

  it.each([false, true])(
    'reads the index file that faiss wrote, mapped: %s, and writes the same bytes',
    async (mmap) => {
      const file = path.join(goldenDirectory, `faiss-${name}.index`);
      await using index = await Index.read(file, { mmap });
      expect([index.ntotal, index.dimension]).toEqual([n, d]);
      expect(index.reconstruct(n - 1)).toEqual(vectors.slice((n - 1) * d));
      const copy = path.join(mkdtempSync(path.join(tmpdir(), 'flatrank-faiss-')), 'copy');
      await index.write(copy);
      expect(readFileSync(copy).equals(readFileSync(file))).toBe(true);
      rmSync(path.dirname(copy), { recursive: true });
    },
  );

  it.each([1, nq])('%i queries at a time find the same rows at the same distances', async (batch) => {
    await using index = new Index(d);
    await index.add(new Matrix(vectors, n, d));
    expect(index.ntotal).toBe(n);
    for (let first = 0; first < nq; first += batch) {
      const found = await index.search(queries.subarray(first * d, (first + batch) * d), k);
      for (let i = 0; i < batch * k; i++) {
        const query = first + Math.floor(i / k);
        const at = first * k + i;
        expect(close(found.distances[i]!, distances[at]!), `distance ${i} of query ${query}`).toBe(true);
        // Another row than faiss's only where the two are equally far as far as fp32 can tell.
        if (found.labels[i] !== labels[at])
          expect(close(key(query, found.labels[i]!), distances[at]!), `row ${i} of query ${query}`).toBe(true);
      }
      for (let row = 0; row < batch; row++)
        expect(new Set(found.labels.subarray(row * k, (row + 1) * k)).size).toBe(Math.min(k, n));
    }
  });
});
