import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlatrankError, readDocuments, readMarkdown, splitBlocks, type TextBlock, type TokenCounter } from 'flatrank';
import { afterAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'flatrank-split-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, lines: readonly string[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.join('\n'));
  return path;
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

/** A word is one token for each five characters begun, and two special tokens surround a text. */
function countWords(text: string): number {
  return 2 + (text.match(/\S+/g) ?? []).reduce((sum, word) => sum + Math.ceil(word.length / 5), 0);
}

function counter(maxSeqLength: number, count = countWords): TokenCounter & { calls: number } {
  return {
    maxSeqLength,
    calls: 0,
    countTokens(texts) {
      this.calls++;
      return Promise.resolve(Int32Array.from(texts, (text) => count(text)));
    },
  };
}

const words = (text: string): string[] => text.match(/\S+/g) ?? [];

describe('readMarkdown', () => {
  test('headings, paths, fences, front matter', async () => {
    const path = file('blocks.md', [
      '---',
      'title: x',
      '---',
      '# One #',
      'first',
      'second',
      '',
      '```sh',
      '# no heading',
      '',
      'x',
      '```',
      '### Three',
      '~~~~',
      '```',
      '~~~',
      '# no',
      '~~~~~',
      'Under',
      '=====',
      'text',
      '#hash is no heading',
      'a',
      'b',
      '---',
      '- item',
      '---',
      '    # code',
      '##',
    ]);
    const blocks = await all(readMarkdown(path));
    expect(blocks.map(({ line, kind, headings, text }) => [line, kind, headings.join(' > '), text])).toEqual([
      [1, 'code', '', '---\ntitle: x\n---'],
      [4, 'heading', 'One', '# One #'],
      [5, 'paragraph', 'One', 'first\nsecond'],
      [8, 'code', 'One', '```sh\n# no heading\n\nx\n```'],
      [13, 'heading', 'One > Three', '### Three'],
      [14, 'code', 'One > Three', '~~~~\n```\n~~~\n# no\n~~~~~'],
      [19, 'heading', 'Under', 'Under\n====='],
      [21, 'paragraph', 'Under', 'text\n#hash is no heading\na\nb\n---\n- item\n---\n    # code'],
      [29, 'heading', 'Under', '##'],
    ]);
  });

  test('a fence that is never closed is code to the end', async () => {
    const blocks = await all(readMarkdown(file('open.md', ['# A', '```', '# not', 'x'])));
    expect(blocks.map(({ kind }) => kind)).toEqual(['heading', 'code']);
  });
});

describe('splitBlocks', () => {
  test('every heading begins a piece; headings alone go with what follows', async () => {
    const path = file('sections.md', ['# A', '## B', 'text b', '', 'more b', '# C', 'text c', '# D']);
    const pieces = await all(splitBlocks(readMarkdown(path), counter(100)));
    expect(pieces.map(({ line, headings, text }) => [line, headings, text])).toEqual([
      [1, ['A', 'B'], '# A\n\n## B\n\ntext b\n\nmore b'],
      [6, ['C'], '# C\n\ntext c'],
      [8, ['D'], '# D'],
    ]);
  });

  test('packs paragraphs, then sentences, then words, to the limit; what is broken begins a piece', async () => {
    const path = file('long.txt', [
      'aaaa bbbb cccc.',
      '',
      'dddd eeee.',
      '',
      'The first one. The other one is long, of more than eight words. End of it.',
      '',
      'one two three four five six seven eight nine ten eleven',
    ]);
    const limit = counter(10);
    const pieces = await all(splitBlocks(await blocksOf(path), limit));
    expect(pieces.map(({ text }) => text)).toEqual([
      'aaaa bbbb cccc.\n\ndddd eeee.',
      'The first one.',
      'The other one is long, of more than',
      'eight words. End of it.',
      'one two three four five six seven eight',
      'nine ten eleven',
    ]);
    for (const { text } of pieces) expect(countWords(text)).toBeLessThanOrEqual(10);
  });

  test('loses no word, on real prose of any length, for any limit', async () => {
    const text = readMeLike();
    const path = file('prose.md', text.split('\n'));
    for (const limit of [4, 5, 7, 16, 61, 1000]) {
      const pieces = await all(splitBlocks(readMarkdown(path), counter(limit)));
      // Words longer than the room are cut in parts, so the comparison leaves blank space out.
      expect(pieces.map(({ text: piece }) => words(piece).join('')).join('')).toBe(words(text).join(''));
      for (const piece of pieces) {
        expect(countWords(piece.text)).toBeLessThanOrEqual(limit);
        const line = text.split('\n')[piece.line - 1]!;
        expect(line.slice(piece.column - 1).startsWith(piece.text.split('\n')[0]!.slice(0, 3))).toBe(true);
      }
    }
  });

  test('an endless word ends, between the halves of no surrogate pair', async () => {
    const word = '😀'.repeat(50_000) + 'x'.repeat(100_000);
    const path = file('endless.txt', [word]);
    const pieces = await all(splitBlocks(await blocksOf(path), counter(8)));
    expect(pieces.map(({ text }) => text).join('')).toBe(word);
    for (const { text } of pieces) expect(text.isWellFormed()).toBe(true);
  });

  test('a character that does not fit by itself is a piece, not a loop', async () => {
    const greedy = counter(5, (text) => 2 + 9 * text.length);
    const path = file('greedy.txt', ['ab c']);
    const pieces = await all(splitBlocks(await blocksOf(path), greedy));
    expect(pieces.map(({ text }) => text).join('')).toBe('abc');
  });

  test('a whole that counts more than its parts is split again', async () => {
    // Every sentence but the first of a text costs 3 tokens more than by itself.
    const count = (text: string): number => countWords(text) + 3 * ((text.match(/\./g) ?? ['']).length - 1);
    const path = file('glue.txt', ['One two. Three four. Five six. Seven eight. Nine ten. Ten two.']);
    const pieces = await all(splitBlocks(await blocksOf(path), counter(10, count)));
    expect(pieces.map(({ text }) => words(text).join(' ')).join(' ')).toContain('Seven eight. Nine ten.');
    for (const { text } of pieces) expect(count(text)).toBeLessThanOrEqual(10);
  });

  test('code is cut at lines', async () => {
    const path = file('code.md', ['```', 'let a = 1; // one. two.', 'let b = 2; // three.', '```']);
    const pieces = await all(splitBlocks(readMarkdown(path), counter(12)));
    expect(pieces.map(({ text }) => text)).toEqual(['```\nlet a = 1; // one. two.', 'let b = 2; // three.\n```']);
  });

  test('asks for counts in batches, not piece by piece', async () => {
    const path = file(
      'many.txt',
      Array.from({ length: 2000 }, (_, i) => `paragraph ${i}\n`),
    );
    const limit = counter(8);
    const pieces = await all(splitBlocks(await blocksOf(path), limit));
    expect(pieces.length).toBeGreaterThan(500);
    expect(limit.calls).toBeLessThan(40);
  });

  test('no room beside the special tokens is refused', async () => {
    const path = file('tiny.txt', ['a']);
    await expect(all(splitBlocks(await blocksOf(path), counter(2)))).rejects.toThrow(FlatrankError);
    await expect(all(splitBlocks(await blocksOf(path), counter(9), { maxTokens: 0 }))).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});

describe('readDocuments with splitFor', () => {
  test('ids are path:line, with the column for further pieces of one line', async () => {
    const path = file('ids.md', ['# A', '', 'one two three four. five six seven eight.']);
    const documents = await all(readDocuments(path, { splitFor: counter(8) }));
    expect(documents).toEqual([
      { id: `${path}:1`, text: '# A\n\none two three four.', metadata: { path, line: 1, heading: 'A' } },
      { id: `${path}:3`, text: 'five six seven eight.', metadata: { path, line: 3, heading: 'A' } },
    ]);
    const line = file('line.txt', ['one two three four. five six seven eight. nine']);
    const ids = (await all(readDocuments(line, { splitFor: counter(6) }))).map(({ id }) => id);
    expect(ids).toEqual([`${line}:1`, `${line}:1:21`, `${line}:1:36`]);
  });

  test('without it, Markdown is cut at headings and text is one document', async () => {
    const markdown = file('whole.md', ['# A', 'x'.repeat(9000), '# B', 'y']);
    expect((await all(readDocuments(markdown))).map(({ metadata }) => metadata['line'])).toEqual([1, 3]);
    const text = file('whole.txt', ['a', '', 'b', '', 'c']);
    expect((await all(readDocuments(text))).map((document) => document.text)).toEqual(['a\n\nb\n\nc']);
  });
});

async function blocksOf(path: string): Promise<TextBlock[]> {
  const { readText } = await import('flatrank');
  return all(readText(path));
}

function readMeLike(): string {
  const section = (i: number): string =>
    `## Section ${i}\n\nThis is paragraph ${i}, with some words. It goes on! Does it end? 한국어 문장도 있습니다. 다음 문장.\n` +
    `a hard-wrapped line ${i}\nand another one\n\n- item one of ${i}\n- item two\n\n` +
    `\`\`\`js\n# code ${i}\nconst averyveryverylongidentifier${i} = 'x';\n\n\`\`\`\n`;
  return `# Title\n\n${Array.from({ length: 40 }, (_, i) => section(i)).join('\n')}`;
}
