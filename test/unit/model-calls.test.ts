import { join } from 'node:path';
import { CrossEncoder, Matrix, SentenceTransformer } from 'flatrank';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';
import { expectCode } from './model-directories.js';

const directory = join(goldenDirectory, 'models/tiny-bert');
let model: SentenceTransformer;
let cross: CrossEncoder;
beforeAll(async () => {
  model = await SentenceTransformer.load(directory);
  cross = await CrossEncoder.load(join(goldenDirectory, 'models/tiny-bert-cross'));
});
afterAll(() => Promise.all([model.dispose(), cross.dispose()]));

const long = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `a text that has the number ${i} `.repeat(6));

describe('encode', () => {
  it('takes one text, many, none, and texts without a word', async () => {
    expect(await model.encode('a text')).toHaveLength(32);
    const none = await model.encode([]);
    expect([none.rows, none.cols, none.data.length]).toEqual([0, 32, 0]);
    const blank = await model.encode(['', ' ', '\n\t']);
    expect(blank.rows).toBe(3);
    expect([...blank.row(0)]).toEqual([...blank.row(1)]);
    expect(blank.data.every(Number.isFinite)).toBe(true);
  });

  it('gives results in input order, and as a stream the same', async () => {
    const texts = long(40).map((text, i) => text.slice(0, 5 + ((i * 37) % 120)));
    const all = await model.encode(texts, { batchTokens: 100 });
    for (const i of [0, 17, 39]) {
      const alone = await model.encode(texts[i]!);
      for (const [j, value] of alone.entries()) expect(all.row(i)[j]).toBeCloseTo(value, 5);
    }
    const chunks: number[] = [];
    let at = 0;
    for await (const matrix of model.encodeStream(texts, { chunkSize: 16 })) {
      chunks.push(matrix.rows);
      for (let i = 0; i < matrix.rows; i++, at++)
        for (const [j, value] of matrix.row(i).entries()) expect(all.row(at)[j]).toBeCloseTo(value, 5);
    }
    expect(chunks).toEqual([16, 16, 8]);
  });

  it('scales and cuts embeddings', async () => {
    const { data, cols } = await model.encode(['one', 'two'], { truncateDim: 8, normalize: true });
    expect(cols).toBe(8);
    for (const row of [data.subarray(0, 8), data.subarray(8)]) expect(Math.hypot(...row)).toBeCloseTo(1, 6);
  });

  it('puts prompts before texts', async () => {
    const direct = await model.encode('query: a text');
    expect([...(await model.encode('a text', { prompt: 'query: ' }))]).toEqual([...direct]);
    await expectCode(model.encode('a', { promptName: 'nothing' }), 'ERR_INVALID_ARGUMENT', /promptName.*'nothing'/);
  });

  it('reports progress and truncation', async () => {
    const progress: number[] = [];
    const cut: number[][] = [];
    await model.encode(['short', 'word '.repeat(500), 'short'], {
      batchTokens: 1,
      onProgress: ({ done, total }) => progress.push(done, total),
      onTruncated: ({ indices }) => cut.push([...indices]),
    });
    expect(progress).toEqual([1, 3, 2, 3, 3, 3]);
    expect(cut).toEqual([[1]]);
    expect([...(await model.countTokens(['word '.repeat(500)]))][0]).toBeGreaterThan(model.maxSeqLength);
  });

  it('rejects bad arguments by name', async () => {
    const any = model as any;
    await expectCode(any.encode(7), 'ERR_INVALID_ARGUMENT', /texts.*array of strings.*7/);
    await expectCode(any.encode(['a', null]), 'ERR_INVALID_ARGUMENT', /texts\[1\].*string.*null/);
    await expectCode(any.encode('a', null), 'ERR_INVALID_ARGUMENT', /options/);
    for (const [name, value] of Object.entries({
      batchTokens: NaN,
      truncateDim: 0,
      normalize: 'yes',
      prompt: 3,
      onProgress: 1,
      signal: {},
    }))
      await expectCode(any.encode('a', { [name]: value }), 'ERR_INVALID_ARGUMENT', new RegExp(`\`${name}\``));
    const stream = any.encodeStream('a text');
    await expectCode(stream.next(), 'ERR_INVALID_ARGUMENT', /texts/);
    const later = any.encodeStream(['a', 'b', 'c', 4], { chunkSize: 2 });
    await later.next();
    await expectCode(later.next(), 'ERR_INVALID_ARGUMENT', /texts\[3\]/);
  });

  it('takes one signal for many calls at once', async () => {
    const warn = vi.spyOn(process, 'emitWarning');
    onTestFinished(() => {
      warn.mockRestore();
    });
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 15 }, () => model.encode('a', { signal })));
    expect(warn).not.toHaveBeenCalled();
  });

  it('ends with the reason of its signal, at once', async () => {
    const reason = new Error('enough');
    await expect(model.encode('a', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const promise = model.encode(long(3000), {
      signal: controller.signal,
      onProgress: () => {
        controller.abort(reason);
      },
    });
    await expect(promise).rejects.toBe(reason);
    expect(await model.encode('still here')).toHaveLength(32);
  });

  it('keeps an exception of a callback out of its work', async () => {
    const raised = new Promise((resolve) => {
      const listeners = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const listener of listeners) process.on('uncaughtException', listener);
        resolve(error.message);
      });
    });
    const onProgress = (): never => {
      throw new Error('mine');
    };
    expect(await model.encode('a', { onProgress })).toHaveLength(32);
    expect(await raised).toBe('mine');
  });
});

describe('similarity', () => {
  it('compares every row with every row', async () => {
    const matrix = await model.encode(['one text', 'another thing', 'one text']);
    const { data, rows, cols } = model.similarity(matrix, matrix);
    expect([rows, cols]).toEqual([3, 3]);
    expect(data[2]).toBeCloseTo(1, 6);
    expect(data[1]).toBeCloseTo(data[3]!, 6);
    expect(() => model.similarity(matrix, new Matrix(new Float32Array(2), 1, 2))).toThrow(/32.*2|2.*32/);
    const { data: values } = matrix;
    for (const [wrong, name] of [
      [{ data: values, rows: 4, cols: 32 }, 'data'],
      [{ data: values, rows: 1e20, cols: 32 }, 'rows'],
      [{ data: values, rows: 3n, cols: 32 }, 'rows'],
      [{ data: values, rows: 3, cols: Symbol('32') }, 'cols'],
    ] as [any, string][]) {
      expect(() => model.similarity(wrong, matrix)).toThrow(new RegExp(`\`a.${name}\``));
      expect(() => model.similarity(matrix, wrong)).toThrow(new RegExp(`\`b.${name}\``));
    }
  });
});

describe('predict and rank', () => {
  it('take none, and refuse what is no pair', async () => {
    expect(await cross.predict([])).toHaveLength(0);
    expect(await cross.rank('query', [])).toEqual([]);
    const any = cross as any;
    await expectCode(any.predict('ab'), 'ERR_INVALID_ARGUMENT', /pairs/);
    await expectCode(any.predict([['a', 'b'], ['a']]), 'ERR_INVALID_ARGUMENT', /pairs\[1\].*pair of strings/);
    const hole = new Array(2);
    await expectCode(any.predict(new Array(1)), 'ERR_INVALID_ARGUMENT', /pairs\[0\].*pair of strings.*undefined/);
    await expectCode(any.predict([['a', 'b'], hole]), 'ERR_INVALID_ARGUMENT', /pairs\[1\].*pair of strings/);
    await expectCode(any.predict([['a', 'b']], { activation: 'relu' }), 'ERR_INVALID_ARGUMENT', /activation.*"relu"/);
    await expectCode(any.rank(1, []), 'ERR_INVALID_ARGUMENT', /query/);
    await expectCode(any.rank('a', ['b'], { topK: 0 }), 'ERR_INVALID_ARGUMENT', /topK/);
  });

  it.each(['float32', 'int8'] as const)('score pairs alone as in a batch, to the bit, in %s', async (precision) => {
    await using model = await CrossEncoder.load(join(goldenDirectory, 'models/tiny-bert-cross'), { precision });
    const words = 'the river runs under a bridge 한국어 문장 하나 둘 셋'.split(' ');
    const textOf = (length: number, from: number): string =>
      Array.from({ length }, (_, i) => words[(from + i * 7) % words.length]!).join(' ');
    const pairs = Array.from({ length: 150 }, (_, i) => [textOf(1 + (i % 5), i), textOf(1 + (i % 17), 3 * i)] as const);
    const together = await model.predict(pairs, { activation: 'none' });
    const alone: number[] = [];
    for (const pair of pairs) alone.push((await model.predict([pair], { activation: 'none' }))[0]!);
    expect([...together]).toEqual(alone);
  });

  it('score a pair alone as among others', async () => {
    const pairs = long(20).map((text, i) => ['question', text.slice(0, 10 + 5 * i)] as const);
    const together = await cross.predict(pairs, { batchTokens: 300 });
    for (const i of [0, 11, 19]) expect((await cross.predict([pairs[i]!]))[0]).toBeCloseTo(together[i]!, 5);
  });
});

describe('load', () => {
  it('rejects bad arguments by name', async () => {
    const any = SentenceTransformer as any;
    await expectCode(any.load(null), 'ERR_INVALID_ARGUMENT', /dirOrHubId.*null/);
    await expectCode(any.load(5), 'ERR_INVALID_ARGUMENT', /dirOrHubId.*5/);
    await expectCode(any.load(''), 'ERR_INVALID_ARGUMENT', /dirOrHubId/);
    await expectCode(any.load(directory, { device: 'tpu' }), 'ERR_INVALID_ARGUMENT', /device/);
    await expectCode(any.load(directory, { pooling: 'median' }), 'ERR_INVALID_ARGUMENT', /pooling/);
    await expectCode(any.load(directory, { maxSeqLength: 1 }), 'ERR_INVALID_ARGUMENT', /longest input/);
    await expectCode(any.load(directory, { threads: 0 }), 'ERR_INVALID_ARGUMENT', /threads/);
  });

  it('gives errors of the worker the stack of the caller', async () => {
    const error = await SentenceTransformer.load('/no/such/directory').catch((e: unknown) => e as Error);
    expect((error as Error).stack).toContain('model-calls.test.ts');
  });
});

describe('dispose', () => {
  it('waits for running calls, refuses later ones, and may be called again', async () => {
    const doomed = await SentenceTransformer.load(directory);
    const running = doomed.encode(long(300));
    const disposed = Promise.all([doomed.dispose(), doomed.dispose()]);
    await expectCode(doomed.encode('late'), 'ERR_DISPOSED');
    expect((await running).rows).toBe(300);
    await disposed;
    await doomed.dispose();
  });
});
