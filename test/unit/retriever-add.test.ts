import { setTimeout as sleep } from 'node:timers/promises';
import { Retriever, type DocumentInput } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { FakeEncoder } from './retriever-fakes.js';

type Input = DocumentInput<Record<string, unknown>>;

async function empty(encoder = new FakeEncoder()): Promise<Retriever> {
  return Retriever.create({ encoder, metric: 'dot' });
}

async function idsIn(retriever: Retriever): Promise<string[]> {
  return (await retriever.search('1,0', { k: 10_000 })).map(({ id }) => id);
}

async function* slowly(inputs: Iterable<Input>): AsyncGenerator<Input> {
  for (const input of inputs) {
    await sleep(0);
    yield input;
  }
}

describe('add', () => {
  test('takes arrays, sets, generators and async sources', async () => {
    const retriever = await empty();
    expect(await retriever.add(['4,0'])).toEqual({ added: 1, truncated: 0 });
    expect(await retriever.add(new Set(['3,0']))).toEqual({ added: 1, truncated: 0 });
    expect(await retriever.add(slowly([{ id: 'x', text: '2,0' }, '1,0']))).toEqual({ added: 2, truncated: 0 });
    expect(await idsIn(retriever)).toEqual(['0', '1', 'x', '2']);
    expect(retriever.size).toBe(4);
  });

  test('of one id that stands on both sides of a window the later document replaces the earlier', async () => {
    const retriever = await empty();
    const others: Input[] = Array.from({ length: 1023 }, (_, i) => ({ id: `o${i}`, text: `${i},0` }));
    const twice: Input[] = [
      { id: 'x', text: '9999,0' },
      { id: 'x', text: '8888,0' },
    ];
    await retriever.add([...others, ...twice], { onDuplicate: 'replace' });
    expect(retriever.size).toBe(1024);
    expect((await retriever.search('1,0', { k: 1 }))[0]).toMatchObject({ id: 'x', text: '8888,0' });
    expect((await idsIn(retriever)).filter((id) => id === 'x')).toHaveLength(1);
  });

  test('an id that a stream gives after it was made for another document is refused', async () => {
    const retriever = await empty();
    const inputs: Input[] = [...Array.from({ length: 1024 }, (_, i) => `${i},0`), { id: '0', text: '5,5' }];
    for (const onDuplicate of ['error', 'replace'] as const)
      await expect(retriever.add(slowly(inputs), { onDuplicate })).rejects.toMatchObject({
        code: 'ERR_DUPLICATE_ID',
        message: expect.stringContaining('"0" was made for an earlier one'),
      });
    expect(retriever.size).toBe(0);
    expect(await retriever.add(inputs)).toEqual({ added: 1025, truncated: 0 });
  });

  test('made ids pass over those that are taken, by this call or before', async () => {
    const retriever = await empty();
    await retriever.add([{ id: '1', text: '9,0' }]);
    await retriever.add(['8,0', '7,0', { id: '2', text: '6,0' }, '5,0']);
    expect(await idsIn(retriever)).toEqual(['1', '3', '4', '2', '5']);
  });

  test('encodes in windows, and counts what is truncated', async () => {
    const encoder = new FakeEncoder();
    const retriever = await empty(encoder);
    const inputs = Array.from({ length: 2500 }, (_, i) => (i % 1000 === 0 ? `${i},0 ${'long '.repeat(9)}` : `${i},0`));
    const progress: unknown[] = [];
    const result = await retriever.add(inputs, { onProgress: (value) => progress.push(value) });
    expect(result).toEqual({ added: 2500, truncated: 3 });
    expect(encoder.calls.map(({ texts }) => texts.length)).toEqual([1024, 1024, 452]);
    expect(progress).toEqual([1024, 2048, 2500].map((done) => ({ done, total: 2500 })));
    expect((await idsIn(retriever)).slice(0, 3)).toEqual(['2499', '2498', '2497']);
  });

  test('the total of a source without a length is not known', async () => {
    const retriever = await empty();
    const totals: unknown[] = [];
    await retriever.add(slowly(['1,0']), { onProgress: ({ total }) => totals.push(total) });
    expect(totals).toEqual([undefined]);
  });

  test.each([
    ['twice in a call', [{ id: 'a', text: '1,0' }, '2,0', { id: 'a', text: '3,0' }]],
    ['there already', ['1,0', { id: 'old', text: '2,0' }]],
  ])('an id %s is refused by name, and nothing is added', async (_, inputs) => {
    const retriever = await empty();
    await retriever.add([{ id: 'old', text: '5,0' }]);
    await expect(retriever.add(inputs)).rejects.toMatchObject({
      code: 'ERR_DUPLICATE_ID',
      message: expect.stringMatching(/"a"|"old"/),
    });
    expect(await idsIn(retriever)).toEqual(['old']);
    await retriever.add([{ id: 'a', text: '1,0' }]);
    expect(await idsIn(retriever)).toEqual(['old', 'a']);
  });

  test('a failure behind the first window leaves nothing: source, model, document, vector', async () => {
    const retriever = await empty();
    const many = Array.from({ length: 1500 }, (_, i) => ({ id: `n${i}`, text: `${i},1` }));
    const broken = new Error('source');
    async function* breaking(): AsyncGenerator<Input> {
      yield* many;
      await sleep(0);
      throw broken;
    }
    await expect(retriever.add(breaking())).rejects.toBe(broken);
    await expect(retriever.add([...many, 'no vector'])).rejects.toMatchObject({ code: 'ERR_MODEL' });
    await expect(retriever.add([...many, { text: 5 } as never])).rejects.toThrow(
      'Expected `documents[1500].text` to be a string but received 5',
    );
    await expect(retriever.add([...many, 'Infinity,0'])).rejects.toMatchObject({ code: 'ERR_NON_FINITE' });
    expect(retriever.size).toBe(0);
    expect(await idsIn(retriever)).toEqual([]);
    expect(await retriever.add(many)).toEqual({ added: 1500, truncated: 0 });
    expect(await idsIn(retriever)).toHaveLength(1500);
  });

  test.each([
    ['a bare string', 'text', 'Expected `documents` to be an iterable of documents but received "text"'],
    ['nothing', undefined, 'Expected `documents` to be an iterable of documents but received undefined'],
    ['a number in the list', [5], 'Expected `documents[0]` to be a string or an object with `text` but received 5'],
    [
      'an id that is no string',
      ['1,0', { id: 5, text: '1,0' }],
      'Expected `documents[1].id` to be a string but received 5',
    ],
    ['an empty id', [{ id: '', text: '1,0' }], 'Expected `documents[0].id` to be a string that is not empty'],
    ['metadata that is no object', [{ text: '1,0', metadata: 5 }], 'Expected `documents[0].metadata` to be an object'],
  ])('%s is refused', async (_, documents, message) => {
    const retriever = await empty();
    await expect(retriever.add(documents as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    [{ split: { size: 4 } }, 'ERR_UNSUPPORTED'],
    [{ split: { maxTokens: 8 } }, 'ERR_UNSUPPORTED'], // by an encoder that counts no tokens
    [{ onDuplicate: 'skip' }, 'ERR_INVALID_ARGUMENT'],
    [{ batchSize: 4 }, 'ERR_UNSUPPORTED'],
    [{ batchTokens: 0 }, 'ERR_INVALID_ARGUMENT'],
    [{ onProgress: 1 }, 'ERR_INVALID_ARGUMENT'],
  ])('options %o are refused', async (options, code) => {
    const retriever = await empty();
    await expect(retriever.add(['1,0'], options as never)).rejects.toMatchObject({ code });
    expect(retriever.size).toBe(0);
  });

  test('an abort leaves nothing, also where the source never answers', async () => {
    const encoder = new FakeEncoder();
    const retriever = await empty(encoder);
    const reason = new Error('stop');

    const between = new AbortController();
    encoder.pause = () => {
      if (encoder.calls.length === 1) between.abort(reason);
      return Promise.resolve();
    };
    const many = Array.from({ length: 3000 }, (_, i) => `${i},0`);
    await expect(retriever.add(many, { signal: between.signal })).rejects.toBe(reason);
    expect(encoder.calls.length).toBe(2);

    const hanging = new AbortController();
    let closed = false;
    const never: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => {
          closed = true;
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    const adding = retriever.add(never, { signal: hanging.signal });
    setTimeout(() => {
      hanging.abort(reason);
    }, 5);
    await expect(adding).rejects.toBe(reason);
    expect(closed).toBe(true);

    expect(retriever.size).toBe(0);
    expect(await retriever.add(['1,0'])).toMatchObject({ added: 1 });
  });

  test('additions run in the order of the calls; one that gives up waiting does not let others pass', async () => {
    const encoder = new FakeEncoder();
    const retriever = await empty(encoder);
    const order: string[] = [];
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    encoder.pause = () => gate;
    const waiting = new AbortController();
    const note = (name: string) => (): void => {
      order.push(name);
    };
    const first = retriever.add(slowly(['1,0', '2,0'])).then(note('first'));
    const second = retriever.add(['3,0'], { signal: waiting.signal }).catch(note('second gave up'));
    const third = retriever.add(['4,0']).then(note('third'));
    await sleep(5);
    waiting.abort();
    await second;
    expect(order).toEqual(['second gave up']);
    open();
    await Promise.all([first, third]);
    expect(order).toEqual(['second gave up', 'first', 'third']);
    expect(await idsIn(retriever)).toEqual(['2', '1', '0']);
  });

  test('a search sees additions whole or not at all, and all that were done before it', async () => {
    const encoder = new FakeEncoder();
    const retriever = await empty(encoder);
    encoder.pause = () => sleep(1);
    const sizes = new Set<number>();
    let adding = true;
    const searching = (async () => {
      while (adding) {
        sizes.add((await retriever.search('1,0', { k: 100_000 })).length);
        await sleep(0);
      }
    })();
    const batch = Array.from({ length: 3000 }, (_, i) => `${i},1`);
    for (let i = 1; i <= 4; i++) {
      await retriever.add(batch);
      expect(await retriever.search('1,0', { k: 100_000 })).toHaveLength(3000 * i);
    }
    adding = false;
    await searching;
    for (const size of sizes) expect(size % 3000).toBe(0);
    expect(sizes.size).toBeGreaterThan(1);
  });

  test('the array may change once the call was made', async () => {
    const retriever = await empty();
    const inputs = ['1,0', '2,0'];
    const adding = retriever.add(inputs);
    inputs.length = 0;
    inputs.push('bad');
    expect(await adding).toMatchObject({ added: 2 });
  });
});
