import { Retriever, splitText } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { HashEncoder } from './retriever-fakes.js';
import { storeFolder } from './store-folder.js';

const { fresh } = storeFolder();
/** Counts UTF-16 units, and two special tokens. */
const oneTokenAUnit = {
  maxSeqLength: 10,
  countTokens: (texts: readonly string[]) => Promise.resolve(Int32Array.from(texts, ({ length }) => length + 2)),
};
const encoder = new HashEncoder(40);
const words = (count: number, every = 7): string =>
  Array.from({ length: count }, (_, i) => `w${i}${i % every === every - 1 ? '.' : ''}`).join(' ');

describe('splitText', () => {
  test('ends where a character of two units, or half of one, is broken off', async () => {
    const text = `${'word '.repeat(40)}ok.😀 word \ud83dx 😀😀a`;
    for (const overlap of [0, 1, 2, 5])
      for (const { text: part, start, end } of await splitText(text, oneTokenAUnit, { maxTokens: 8, overlap }))
        expect(part).toBe(text.slice(start, end));
  });

  test.each([
    [8, 0],
    [8, 2],
    [12, 3],
    [12, 9],
    [30, 10],
  ])(
    'of %d tokens with an overlap of %d: every word, nothing too long, neighbours share',
    async (maxTokens, overlap) => {
      for (const text of [words(100), `  ${words(53, 3)}\n\n${words(20)} `, words(40, 1000)]) {
        const passages = await splitText(text, encoder, { maxTokens, overlap });
        const seen = new Set<number>();
        for (const [i, passage] of passages.entries()) {
          expect(passage.index).toBe(i);
          expect(text.slice(passage.start, passage.end)).toBe(passage.text);
          const [tokens] = await encoder.countTokens([passage.text]);
          expect(tokens).toBeLessThanOrEqual(maxTokens);
          for (let at = passage.start; at < passage.end; at++) seen.add(at);
          const next = passages[i + 1];
          if (!next) continue;
          expect(next.start).toBeGreaterThan(passage.start);
          expect(next.end).toBeGreaterThan(passage.end);
          const shared = next.start < passage.end ? text.slice(next.start, passage.end).trim().split(/\s+/).length : 0;
          expect(shared).toBeLessThanOrEqual(overlap);
          if (overlap >= 2) expect(shared).toBeGreaterThan(0);
        }
        for (const { index } of text.matchAll(/\S/g)) expect(seen.has(index)).toBe(true);
      }
    },
  );

  test('prefers the ends of sentences', async () => {
    const passages = await splitText('One two three. Four five six. Seven eight nine ten.', encoder, { maxTokens: 8 });
    expect(passages.map(({ text }) => text)).toEqual(['One two three. Four five six.', 'Seven eight nine ten.']);
  });

  test('what fits, and what is blank, stays whole', async () => {
    for (const text of ['', '  ', ' a b '])
      expect(await splitText(text, encoder)).toEqual([{ index: 0, start: 0, end: text.length, text }]);
  });

  test('characters where nothing else is left, never half of one', async () => {
    const counter = {
      maxSeqLength: 6,
      countTokens: (texts: readonly string[]) =>
        Promise.resolve(Int32Array.from(texts, (text) => 2 + Buffer.byteLength(text))),
    };
    const text = '한글😀abc'.repeat(5);
    const passages = await splitText(text, counter);
    expect(passages.map((passage) => passage.text).join('')).toBe(text);
    for (const passage of passages) expect(passage.text.isWellFormed()).toBe(true);
  });

  test.each([
    [{ maxTokens: 2 }, 'maxTokens'],
    [{ maxTokens: 1.5 }, 'maxTokens'],
    [{ overlap: 10 }, 'overlap'],
    [{ overlap: -1 }, 'overlap'],
  ])('%o is refused', async (options, name) => {
    await expect(splitText('a', encoder, options)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(`\`${name}\``),
    });
  });
});

describe('documents in passages', () => {
  test('hits name document and passage; a document is added, counted, replaced and removed as one', async () => {
    const directory = fresh();
    await using memory = await Retriever.create({ encoder });
    await memory.save(directory);
    await using stored = await Retriever.open(directory, { encoder });
    const long = words(50);
    for (const retriever of [memory, stored]) {
      const split = { overlap: 3 };
      const progress: unknown[] = [];
      const added = await retriever.add(
        [
          { id: 'long', text: long, metadata: { a: 1 } },
          { id: 'short', text: 'one two' },
        ],
        {
          split,
          onProgress: (value) => progress.push(value),
        },
      );
      expect([added, progress]).toEqual([{ added: 2, truncated: 0 }, [{ done: 2, total: 2 }]]);
      expect(retriever.size).toBe(2);
      const passages = await splitText(long, encoder, split);
      const hits = await retriever.search(passages[2]!.text, { k: 100 });
      const { text, ...passage } = passages[2]!;
      expect(hits[0]).toMatchObject({ id: 'long', text, metadata: { a: 1 }, passage });
      expect(hits).toHaveLength(passages.length + 1);
      expect(hits.find(({ id }) => id === 'short')).not.toHaveProperty('passage');
      await retriever.add([{ id: 'long', text: words(20) }], { split, onDuplicate: 'replace' });
      expect(retriever.size).toBe(2);
      const replaced = await splitText(words(20), encoder, split);
      expect(await retriever.search('x', { k: 100 })).toHaveLength(replaced.length + 1);
      await retriever.compact();
      await retriever.add(
        Array.from({ length: 3 }, (_, i) => ({ id: `more ${i}`, text: words(30 + i) })),
        { split },
      );
      expect(await retriever.remove(['long', 'more 1'])).toEqual({ removed: 2 });
      expect([...new Set((await retriever.search('x', { k: 100 })).map(({ id }) => id))].sort()).toEqual([
        'more 0',
        'more 2',
        'short',
      ]);
      expect(retriever.size).toBe(3);
    }
    expect(await stored.search('w1 w2', { k: 50 })).toEqual(await memory.search('w1 w2', { k: 50 }));
  });
});
