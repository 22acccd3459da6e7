import { describe, expect, it } from 'vitest';
import { FlatrankError, IndexFlatIP, IndexFlatL2, Matrix, mergeSearchResults } from 'flatrank';

const square = Float32Array.of(0, 0, 1, 0, 0, 1, 1, 1); // rows (0,0) (1,0) (0,1) (1,1)

function random(n: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24 - 0.5;
  });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => {
      expect(error).toBeInstanceOf(FlatrankError);
      return (error as FlatrankError).code;
    },
  );
}

describe('IndexFlatL2', () => {
  it('finds squared distances, ties in order of labels', async () => {
    const index = new IndexFlatL2(2);
    await index.add(square);
    expect(index.ntotal).toBe(4);
    const { distances, labels } = await index.search(Float32Array.of(0.5, 0.5, 2, 0), 4);
    expect([...labels]).toEqual([0, 1, 2, 3, 1, 3, 0, 2]);
    expect([...distances]).toEqual([0.5, 0.5, 0.5, 0.5, 1, 2, 4, 5]);
  });

  it('pads where k exceeds ntotal, and an empty index has only padding', async () => {
    const index = new IndexFlatL2(2);
    const empty = await index.search(Float32Array.of(0, 0), 2);
    expect([...empty.labels, ...empty.distances]).toEqual([-1, -1, Infinity, Infinity]);
    await index.add(square.subarray(0, 2));
    const { distances, labels } = await index.search(Float32Array.of(1, 0), 3);
    expect([...labels, ...distances]).toEqual([0, -1, -1, 1, Infinity, Infinity]);
  });

  it('reads subarrays at their offset, as rows and as queries', async () => {
    const index = new IndexFlatL2(2);
    await index.add(square.subarray(4)); // (0,1) (1,1)
    const { distances, labels } = await index.search(square.subarray(2, 4), 1); // (1,0)
    expect([labels[0], distances[0]]).toEqual([1, 1]);
    expect([...index.reconstruct(0)]).toEqual([0, 1]);
  });

  it('takes matrices and gives V8-owned results that can be transferred', async () => {
    const index = new IndexFlatL2(2);
    await index.add(new Matrix(square, 4, 2));
    const { labels } = await index.search(new Matrix(square, 4, 2), 1);
    expect([...labels]).toEqual([0, 1, 2, 3]);
    structuredClone(labels, { transfer: [labels.buffer as ArrayBuffer] });
    expect(labels.buffer.byteLength).toBe(0);
  });

  it('copies queries before the call returns', async () => {
    const index = new IndexFlatL2(2);
    await index.add(square);
    const queries = Float32Array.of(1, 1);
    const searching = index.search(queries, 1);
    structuredClone(queries, { transfer: [queries.buffer] });
    expect((await searching).labels[0]).toBe(3);
  });

  it('gives the same bits whatever the batch and the number of threads', async () => {
    const d = 33;
    const rows = random(5000 * d);
    const queries = random(70 * d, 2);
    const one = new IndexFlatL2(d, { threads: 1 });
    const all = new IndexFlatL2(d);
    await Promise.all([one.add(rows), all.add(rows)]);
    const together = await all.search(queries, 10);
    for (let j = 0; j < 70; j += 7) {
      const alone = await one.search(queries.subarray(j * d, (j + 1) * d), 10);
      expect(alone.labels).toEqual(together.labels.subarray(j * 10, (j + 1) * 10));
      expect(alone.distances).toEqual(together.distances.subarray(j * 10, (j + 1) * 10));
    }
  });

  it('serves additions in the order of their calls, and searches see those that resolved', async () => {
    const index = new IndexFlatL2(1);
    const additions = Array.from({ length: 50 }, (_, i) => index.add(Float32Array.of(i, i)));
    await additions[10];
    const { labels } = await index.search(Float32Array.of(10), 2);
    expect([...labels]).toEqual([20, 21]);
    await Promise.all(additions);
    expect(index.ntotal).toBe(100);
    expect(index.reconstruct(98)[0]).toBe(49);
  });

  it('leaves nothing of an addition that fails or is aborted', async () => {
    const index = new IndexFlatL2(2);
    await index.add(square);
    const bad = random(200_000 * 2);
    bad[300_001] = NaN;
    await expect(index.add(bad)).rejects.toThrow('NaN at row 150000, column 1');
    const controller = new AbortController();
    const adding = index.add(random(2_000_000 * 2), { signal: controller.signal });
    setImmediate(() => {
      controller.abort(new Error('enough'));
    });
    await expect(adding).rejects.toThrow('enough');
    expect(index.ntotal).toBe(4);
    await index.add(square);
    expect(index.ntotal).toBe(8);
    expect([...index.reconstruct(7)]).toEqual([1, 1]);
  });

  it('rejects where the rows are detached while they are added', async () => {
    const index = new IndexFlatL2(2);
    const rows = random(2_000_000 * 2);
    const adding = index.add(rows);
    structuredClone(rows, { transfer: [rows.buffer as ArrayBuffer] });
    expect(await codeOf(adding)).toBe('ERR_INVALID_ARGUMENT');
    expect(index.ntotal).toBe(0);
  });

  it('stops an aborted search with the reason of the signal', async () => {
    const index = new IndexFlatL2(64);
    await index.add(random(20_000 * 64));
    const reason = new Error('no longer wanted');
    await expect(index.search(random(64), 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const searching = index.search(random(2000 * 64), 100, { signal: controller.signal });
    setImmediate(() => {
      controller.abort(reason);
    });
    await expect(searching).rejects.toBe(reason);
  });

  it('refuses what makes no sense, with codes', async () => {
    const index = new IndexFlatL2(2);
    await index.add(square);
    for (const k of [0, -1, 1.5, NaN, Infinity, '3' as unknown as number, undefined as unknown as number])
      expect(await codeOf(index.search(square, k))).toBe('ERR_INVALID_ARGUMENT');
    expect(await codeOf(index.search(Float32Array.of(1), 1))).toBe('ERR_DIMENSION');
    expect(await codeOf(index.search(new Matrix(square, 2, 4), 1))).toBe('ERR_DIMENSION');
    expect(await codeOf(index.search(Float32Array.of(1, NaN), 1))).toBe('ERR_NON_FINITE');
    expect(await codeOf(index.search([1, 2] as unknown as Float32Array, 1))).toBe('ERR_INVALID_ARGUMENT');
    expect(await codeOf(index.add(Float32Array.of(1)))).toBe('ERR_DIMENSION');
    expect(await codeOf(index.add(Float32Array.of(1, Infinity)))).toBe('ERR_NON_FINITE');
    expect(await codeOf(index.add(Float64Array.of(1, 2) as unknown as Float32Array))).toBe('ERR_INVALID_ARGUMENT');
    expect(() => index.reconstruct(4)).toThrow(FlatrankError);
    for (const dimension of [0, -1, 1.5, NaN, 65537, '2' as unknown as number])
      expect(() => new IndexFlatL2(dimension)).toThrow(FlatrankError);
    expect(() => new IndexFlatL2(2, { codes: 'int4' as 'int8' })).toThrow(/codes/);
    expect(index.ntotal).toBe(4);
  });

  it('searches on a GPU, or says what is missing for it', async () => {
    expect(() => new IndexFlatL2(2, { device: 'gpu' as 'cuda' })).toThrow(/device/);
    let index: IndexFlatL2;
    try {
      index = new IndexFlatL2(2, { device: 'cuda' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED' });
      expect((error as FlatrankError).message).toMatch(
        /'cuda'.*(flatrank_cuda\.so.*FLATRANK_CUDA=on|nvidia-smi|capability)/,
      );
      return;
    }
    await index.add(Float32Array.of(0, 0, 3, 4));
    expect(await index.search(Float32Array.of(0, 0), 2)).toEqual({
      distances: Float32Array.of(0, 25),
      labels: Int32Array.of(0, 1),
    });
  });

  it('names the argument, what was expected and what came, with the stack of the caller', async () => {
    const index = new IndexFlatL2(2);
    const error = await index.search(Float32Array.of(1, -Infinity), 1).catch((e: unknown) => e as FlatrankError);
    expect(error).toMatchObject({
      name: 'FlatrankError',
      code: 'ERR_NON_FINITE',
      message: 'Expected `queries` to hold finite values but received -Infinity at row 0, column 1',
    });
    expect((error as FlatrankError).stack).toContain('index-flat.test.ts');
  });

  it('waits for running calls when disposed, and refuses later ones', async () => {
    const index = new IndexFlatL2(64);
    await index.add(random(20_000 * 64));
    const searching = index.search(random(200 * 64), 10);
    const disposing = index.dispose();
    expect(await codeOf(index.search(random(64), 1))).toBe('ERR_DISPOSED');
    expect(await codeOf(index.add(random(64)))).toBe('ERR_DISPOSED');
    expect((await searching).labels.length).toBe(2000);
    await disposing;
    await index.dispose();
    expect(() => index.ntotal).toThrow('disposed');
  });

  it('forgets its rows on reset and starts again at label 0', async () => {
    const index = new IndexFlatL2(2);
    const adding = index.add(square);
    await index.reset();
    await adding;
    expect(index.ntotal).toBe(0);
    await index.add(square.subarray(6));
    expect((await index.search(square, 1)).labels[0]).toBe(0);
  });
});

describe('IndexFlatIP', () => {
  it('finds the largest products first and pads with -Infinity', async () => {
    const index = new IndexFlatIP(2);
    await index.add(square);
    const { distances, labels } = await index.search(Float32Array.of(1, 2), 5);
    expect([...labels]).toEqual([3, 2, 1, 0, -1]);
    expect([...distances]).toEqual([3, 2, 1, 0, -Infinity]);
  });
});

describe('mergeSearchResults', () => {
  it('gives what one index over all rows gives', async () => {
    const d = 8;
    const rows = random(900 * d);
    const queries = random(5 * d, 3);
    for (const [metric, Index] of [
      ['l2', IndexFlatL2],
      ['ip', IndexFlatIP],
    ] as const) {
      const whole = new Index(d);
      await whole.add(rows);
      const shards = await Promise.all(
        [0, 300, 600].map(async (first) => {
          const shard = new Index(d);
          await shard.add(rows.subarray(first * d, (first + 300) * d));
          return shard.search(queries, 10);
        }),
      );
      const merged = await mergeSearchResults(shards, { k: 10, metric, queries: 5, labelOffsets: [0, 300, 600] });
      expect(merged).toEqual(await whole.search(queries, 10));
    }
  });

  it('refuses shapes that do not fit', async () => {
    const result = { distances: Float32Array.of(1, 2, 3), labels: Int32Array.of(1, 2, 3) };
    expect(await codeOf(mergeSearchResults([result], { k: 1, metric: 'l2', queries: 2 }))).toBe('ERR_INVALID_ARGUMENT');
    expect(await codeOf(mergeSearchResults([result], { k: 1, metric: 'l2', queries: 1, labelOffsets: [1, 2] }))).toBe(
      'ERR_INVALID_ARGUMENT',
    );
    expect(await codeOf(mergeSearchResults([result], { k: 1, metric: 'x' as 'l2', queries: 1 }))).toBe(
      'ERR_INVALID_ARGUMENT',
    );
  });
});
