import { Retriever, type Hit, type RetrieverEncoder } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { FakeCrossEncoder, FakeEncoder } from './retriever-fakes.js';

const ids = (hits: readonly Hit<unknown>[]): string[] => hits.map(({ id }) => id);

async function filled(
  metric?: 'cosine' | 'dot' | 'l2',
  encoder: RetrieverEncoder = new FakeEncoder(),
): Promise<Retriever> {
  const retriever = await Retriever.create({ encoder, ...(metric ? { metric } : {}) });
  await retriever.add([
    { id: 'east', text: '1,0', metadata: { order: 1 } },
    { id: 'north', text: '0,2' },
    { id: 'far', text: '30,40' },
  ]);
  return retriever;
}

describe('search', () => {
  test('cosine: normalized embeddings, queries and documents encoded as such', async () => {
    const encoder = new FakeEncoder();
    const retriever = await filled(undefined, encoder);
    expect(retriever.metric).toBe('cosine');
    const hits = await retriever.search('3,4 question');
    expect(hits.map(({ id, score }) => [id, score])).toEqual([
      ['far', expect.closeTo(1, 6)],
      ['north', expect.closeTo(0.8, 6)],
      ['east', expect.closeTo(0.6, 6)],
    ]);
    expect(hits[2]).toEqual({
      id: 'east',
      text: '1,0',
      metadata: { order: 1 },
      score: hits[2]!.score,
      retrievalScore: hits[2]!.score,
    });
    expect(hits[0]!.metadata).toEqual({});
    expect(encoder.calls.map(({ kind, normalize }) => [kind, normalize])).toEqual([
      ['document', true],
      ['query', true],
    ]);
  });

  test('dot and l2 take embeddings as they are; scores are higher for better', async () => {
    const dot = await (await filled('dot')).search('1,1');
    expect(dot.map(({ id, score }) => [id, score])).toEqual([
      ['far', 70],
      ['north', 2],
      ['east', 1],
    ]);
    const l2 = await (await filled('l2')).search('1,1');
    expect(l2.map(({ id, score }) => [id, score])).toEqual([
      ['east', -1],
      ['north', expect.closeTo(-Math.SQRT2, 6)],
      ['far', expect.closeTo(-Math.hypot(29, 39), 5)],
    ]);
  });

  test.each([
    ['cosine', 'cosine'],
    ['dot', 'dot'],
    ['euclidean', 'l2'],
    [undefined, 'cosine'],
  ])("the metric of a model of %s similarity is '%s'", async (similarity, metric) => {
    expect((await Retriever.create({ encoder: new FakeEncoder(similarity) })).metric).toBe(metric);
  });

  test('manhattan is refused, unless a metric is given', async () => {
    const encoder = new FakeEncoder('manhattan');
    await expect(Retriever.create({ encoder })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    expect((await Retriever.create({ encoder, metric: 'dot' })).metric).toBe('dot');
  });

  test('several queries at once, each with its hits', async () => {
    const retriever = await filled();
    const found = await retriever.search(['1,0', '0,1'], { k: 1 });
    expect(found.map(ids)).toEqual([['east'], ['north']]);
    expect(await retriever.search([])).toEqual([]);
  });

  test('k is 10 unless given, and may be more than there is', async () => {
    const retriever = await Retriever.create({ encoder: new FakeEncoder() });
    await retriever.add(Array.from({ length: 25 }, (_, i) => `${i + 1},1`));
    expect(await retriever.search('1,1')).toHaveLength(10);
    expect(await retriever.search('1,1', { k: 7 })).toHaveLength(7);
    expect(await retriever.search('1,1', { k: 1e9 })).toHaveLength(25);
  });

  test('an empty store has no hits, and asks no model', async () => {
    const encoder = new FakeEncoder();
    const retriever = await Retriever.create({ encoder });
    expect(await retriever.search('1,1')).toEqual([]);
    expect(await retriever.search(['1,1', '2,2'])).toEqual([[], []]);
    expect(await retriever.add([])).toEqual({ added: 0, truncated: 0 });
    expect(encoder.calls).toEqual([]);
  });

  test.each([
    ['k 0', (r: Retriever) => r.search('1,1', { k: 0 }), 'ERR_INVALID_ARGUMENT'],
    ['k NaN', (r: Retriever) => r.search('1,1', { k: NaN }), 'ERR_INVALID_ARGUMENT'],
    ['k 1.5', (r: Retriever) => r.search('1,1', { k: 1.5 }), 'ERR_INVALID_ARGUMENT'],
    ['no text', (r: Retriever) => r.search(5 as unknown as string), 'ERR_INVALID_ARGUMENT'],
    ['a list with a number', (r: Retriever) => r.search(['a', 5 as unknown as string]), 'ERR_INVALID_ARGUMENT'],
    ['an option that is none', (r: Retriever) => r.search('1,1', { where: { a: 1 } } as object), 'ERR_UNSUPPORTED'],
    ['a filter that is none', (r: Retriever) => r.search('1,1', { filter: 5 as never }), 'ERR_INVALID_ARGUMENT'],
    ['no signal', (r: Retriever) => r.search('1,1', { signal: 'x' as never }), 'ERR_INVALID_ARGUMENT'],
    ['options that are none', (r: Retriever) => r.search('1,1', 7 as never), 'ERR_INVALID_ARGUMENT'],
  ])('%s rejects', async (_, call, code) => {
    const retriever = await filled();
    await expect(call(retriever)).rejects.toMatchObject({ name: 'FlatrankError', code });
  });

  test('an aborted signal rejects with its reason', async () => {
    const reason = new Error('enough');
    const retriever = await filled();
    await expect(retriever.search('1,1', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('create', () => {
  test.each([
    [undefined, 'ERR_INVALID_ARGUMENT'],
    [{}, 'ERR_INVALID_ARGUMENT'],
    [{ encoder: {} }, 'ERR_INVALID_ARGUMENT'],
    [{ encoder: new FakeEncoder(), crossEncoder: {} }, 'ERR_INVALID_ARGUMENT'],
    [{ encoder: new FakeEncoder(), crossEncoder: new FakeCrossEncoder(3) }, 'ERR_UNSUPPORTED'],
    [{ encoder: new FakeEncoder(), metric: 'hamming' }, 'ERR_INVALID_ARGUMENT'],
    [{ encoder: new FakeEncoder(), path: 'x' }, 'ERR_UNSUPPORTED'],
  ])('refuses %o', async (options, code) => {
    await expect(Retriever.create(options as never)).rejects.toMatchObject({ name: 'FlatrankError', code });
  });
});

describe('rerank and retrieve', () => {
  async function withCross(crossEncoder = new FakeCrossEncoder()): Promise<Retriever> {
    const retriever = await Retriever.create({ encoder: new FakeEncoder(), crossEncoder, metric: 'dot' });
    await retriever.add([
      { id: 'a', text: '4,0 @-1' },
      { id: 'b', text: '3,0 @2.5' },
      { id: 'c', text: '2,0 @2.5' },
      { id: 'd', text: '1,0 @0' },
    ]);
    return retriever;
  }

  test('orders by the logit, equal ones in their order, and keeps both scores', async () => {
    const crossEncoder = new FakeCrossEncoder();
    const retriever = await withCross(crossEncoder);
    const hits = await retriever.search('1,0');
    const best = await retriever.rerank('1,0', hits, { k: 3 });
    expect(best.map(({ id, score, rerankScore, retrievalScore }) => [id, score, rerankScore, retrievalScore])).toEqual([
      ['b', 2.5, 2.5, 3],
      ['c', 2.5, 2.5, 2],
      ['d', 0, 0, 1],
    ]);
    expect(crossEncoder.calls[0]![1]).toEqual(['1,0', '3,0 @2.5']);
    expect(hits[0]!.rerankScore).toBeUndefined();
    expect(ids(await retriever.rerank('1,0', [hits[2]!, hits[1]!]))).toEqual(['c', 'b']);
  });

  test('blend adds the retrieval score', async () => {
    const retriever = await withCross();
    const hits = await retriever.search('1,0');
    const blended = await retriever.rerank('1,0', hits, { blend: 2 });
    expect(blended.map(({ id, score, rerankScore }) => [id, score, rerankScore])).toEqual([
      ['b', 8.5, 2.5],
      ['a', 7, -1],
      ['c', 6.5, 2.5],
      ['d', 2, 0],
    ]);
    expect(ids(await retriever.rerank('1,0', hits, { blend: -2 }))).toEqual(['c', 'd', 'b', 'a']);
  });

  test('retrieve reranks the best biK and keeps crossK', async () => {
    const retriever = await withCross();
    expect(ids(await retriever.retrieve('1,0'))).toEqual(['b', 'c', 'd', 'a']);
    expect(ids(await retriever.retrieve('1,0', { biK: 2, crossK: 1 }))).toEqual(['b']);
    expect(ids(await retriever.retrieve('1,0', { biK: 1 }))).toEqual(['a']);
    expect(ids(await retriever.retrieve('1,0', { crossK: 2, blend: 2 }))).toEqual(['b', 'a']);
  });

  test('30 candidates and 10 hits unless told otherwise', async () => {
    const crossEncoder = new FakeCrossEncoder();
    const retriever = await Retriever.create({ encoder: new FakeEncoder(), crossEncoder });
    await retriever.add(Array.from({ length: 50 }, (_, i) => `${i + 1},1 @${i}`));
    expect(await retriever.retrieve('1,0')).toHaveLength(10);
    expect(crossEncoder.calls[0]).toHaveLength(30);
    expect(await retriever.rerank('q', await retriever.search('1,0', { k: 20 }))).toHaveLength(10);
  });

  test('no hits, no documents', async () => {
    const retriever = await withCross();
    expect(await retriever.rerank('q', [])).toEqual([]);
    const empty = await Retriever.create({ encoder: new FakeEncoder(), crossEncoder: new FakeCrossEncoder() });
    expect(await empty.retrieve('q')).toEqual([]);
  });

  test('a logit that is no number is an error, not a place in the ranking', async () => {
    const retriever = await withCross();
    const hit = (await retriever.search('1,0', { k: 1 }))[0]!;
    await expect(retriever.rerank('q', [hit, { ...hit, text: '@x' }])).rejects.toMatchObject({
      code: 'ERR_NON_FINITE',
    });
  });

  test.each([
    ['k', { k: -1 }],
    ['blend NaN', { blend: NaN }],
    ['blend text', { blend: '1' as never }],
  ])('%s is refused', async (_, options) => {
    const retriever = await withCross();
    const hits = await retriever.search('1,0');
    await expect(retriever.rerank('q', hits, options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  test('hits that are none, biK and crossK out of range', async () => {
    const retriever = await withCross();
    for (const hits of [null, 'x', [{}], [{ text: 'a' }]])
      await expect(retriever.rerank('q', hits as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(retriever.retrieve('q', { biK: 0 })).rejects.toThrow('Expected `biK` to be a positive integer');
    await expect(retriever.retrieve('q', { crossK: 0 })).rejects.toThrow('Expected `crossK` to be a positive integer');
    await expect(retriever.retrieve('q', { k: 3 } as never)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });

  test('without a cross-encoder the error says how to give one', async () => {
    const retriever = await filled();
    const hits = await retriever.search('1,1');
    const expected = {
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('create({ encoder, crossEncoder'),
    };
    await expect(retriever.rerank('q', hits)).rejects.toMatchObject(expected);
    await expect(retriever.retrieve('q')).rejects.toMatchObject(expected);
  });
});

describe('dispose', () => {
  test('waits for running calls, refuses later ones, and leaves the models alone', async () => {
    const encoder = new FakeEncoder();
    const retriever = await filled(undefined, encoder);
    const running = retriever.search('1,1');
    const adding = retriever.add(['5,5']);
    const disposed = Promise.all([retriever.dispose(), retriever.dispose()]);
    expect(await running).toHaveLength(3);
    expect(await adding).toMatchObject({ added: 1 });
    await disposed;
    await retriever.dispose();
    expect(encoder.disposed).toBe(false);
    for (const call of [retriever.search('1,1'), retriever.add(['1,1']), retriever.search([])])
      await expect(call).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });

  test('at the end of a scope', async () => {
    let kept: Retriever;
    {
      await using retriever = await filled();
      kept = retriever;
      expect(kept.size).toBe(3);
    }
    await expect(kept.search('1,1')).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });
});
