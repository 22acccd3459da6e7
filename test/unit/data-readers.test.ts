import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { FlatrankError, readCsv, readDocuments, readJsonl, readText } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { all, failure, file, folder } from './data-files.js';

describe('readJsonl', () => {
  test('reads objects with their lines: byte order mark, CRLF, blank lines, no last line end', async () => {
    const path = file('a.jsonl', '\uFEFF{"a":1}\r\n\r\n  \n{"a":"한"}\n{"a":null,"b":[2]}');
    expect(await all(readJsonl(path))).toEqual([
      { line: 1, fields: { a: 1 } },
      { line: 4, fields: { a: '한' } },
      { line: 5, fields: { a: null, b: [2] } },
    ]);
  });

  test('reads a gzip file, and lines longer than any chunk', async () => {
    const long = 'x한'.repeat(400_000);
    const text = `{"t":"${long}"}\n{"t":"short"}\n{"t":"${long}"}\n`;
    const path = file('long.jsonl.gz', gzipSync(text));
    const records = await all(readJsonl(path));
    expect(records.map(({ line }) => line)).toEqual([1, 2, 3]);
    expect(records[2]!.fields['t']).toBe(long);
  });

  test('an empty file has no records', async () => {
    expect(await all(readJsonl(file('empty.jsonl', '')))).toEqual([]);
  });

  test.each([
    ['[1]', 'ERR_BAD_FILE Expected FILE:3 to be a JSON object but received an array of length 1'],
    ['null', 'ERR_BAD_FILE Expected FILE:3 to be a JSON object but received null'],
    ['{"a":', String.raw`ERR_BAD_FILE Expected FILE:3 to be a JSON object but received "{\"a\":"`],
    ['"' + 'q'.repeat(100), /^ERR_BAD_FILE Expected FILE:3 .*…"$/],
    ['['.repeat(200_000), /^ERR_BAD_FILE Expected FILE:3 to be a JSON object/],
  ])('refuses %.10s, naming file and line', async (line, expected) => {
    const path = file('bad.jsonl', `{}\n\n${line}\n{}\n`);
    const message = await failure(readJsonl(path), path);
    if (typeof expected === 'string') expect(message).toBe(expected);
    else expect(message).toMatch(expected);
  });

  test('a field called __proto__ stays a field', async () => {
    const [record] = await all(readJsonl(file('proto.jsonl', '{"__proto__":{"x":1},"text":"t"}')));
    expect(Object.keys(record!.fields)).toContain('__proto__');
    expect(Object.getPrototypeOf(record!.fields)).toBe(Object.prototype);
  });
});

describe('files that are not what their name says', () => {
  const gz = gzipSync('{"text":"a"}\n'.repeat(10_000));
  test.each([
    [
      'binary.jsonl',
      Buffer.from([0x7b, 0x7d, 0x0a, 0xff, 0xfe, 0x0a]),
      'ERR_BAD_FILE Expected FILE:2 to be UTF-8 text',
    ],
    ['latin1.csv', Buffer.from('text\nna\xefve\n', 'latin1'), 'ERR_BAD_FILE Expected FILE:2 to be UTF-8 text'],
    ['nul.txt', 'a\nb\0c\n', 'ERR_BAD_FILE Expected FILE:2 to be UTF-8 text but received a NUL byte at column 2'],
    ['utf16.md', Buffer.from('\uFEFF# a', 'utf16le'), 'ERR_BAD_FILE Expected FILE:1 to be UTF-8 text'],
    ['cut-off.txt', Buffer.from('ab\nc한').subarray(0, 6), 'ERR_BAD_FILE Expected FILE:2 to be UTF-8 text'],
    [
      'plain.jsonl.gz',
      '{"text":"a"}\n',
      'ERR_BAD_FILE Expected FILE to be a whole gzip file but received damaged data',
    ],
    ['cut.jsonl.gz', gz.subarray(0, gz.length - 30), 'ERR_BAD_FILE Expected FILE to be a whole gzip file'],
    ['zipped.jsonl', gz, 'ERR_BAD_FILE Expected FILE to be UTF-8 text but received gzip data'],
  ])('%s is refused', async (name, content, expected) => {
    const path = file(name, content);
    expect((await failure(readDocuments(path), path)).startsWith(expected)).toBe(true);
  });

  test('a directory, a missing file, an unknown ending', async () => {
    const directory = join(folder, 'directory.jsonl');
    const { mkdirSync } = await import('node:fs');
    mkdirSync(directory);
    expect(await failure(readDocuments(directory), directory)).toBe(
      'ERR_BAD_FILE Expected FILE to be a file but received a directory',
    );
    const missing = join(folder, 'missing.csv');
    expect(await failure(readDocuments(missing), missing)).toMatch(/^ERR_NOT_FOUND Expected FILE to be a file/);
    const unknown = file('table.xlsx', 'x');
    expect(await failure(readDocuments(unknown), unknown)).toBe(
      'ERR_UNSUPPORTED Expected FILE to end in one of .jsonl .ndjson .json .csv .tsv .parquet .txt .md .markdown (or one of these and .gz)',
    );
    expect(await failure(readDocuments(7 as unknown as string), '?')).toMatch(/^ERR_INVALID_ARGUMENT Expected `path`/);
  });
});

describe('readCsv', () => {
  test('RFC 4180: quotes, doubled quotes, line breaks in fields, CRLF and LF; lines count', async () => {
    const content =
      '\uFEFFid,text,\r\n1,"two\r\nlines",\r\n\r\n"2","say ""hi"", he said",x\n3,"p\nq\n",\r\n4,,\n5,last,';
    expect(await all(readCsv(file('a.csv', content)))).toEqual([
      { line: 2, fields: { id: '1', text: 'two\r\nlines' } },
      { line: 5, fields: { id: '2', text: 'say "hi", he said' } },
      { line: 6, fields: { id: '3', text: 'p\nq\n' } },
      { line: 9, fields: { id: '4', text: '' } },
      { line: 10, fields: { id: '5', text: 'last' } },
    ]);
  });

  test('a delimiter of its own, and no quotes', async () => {
    const path = file('a.psv', 'a|b\n"x|y"z\n');
    expect(await all(readCsv(path, { delimiter: '|', quotes: false }))).toEqual([
      { line: 2, fields: { a: '"x', b: 'y"z' } },
    ]);
  });

  test('records are read across the chunks of a long file', async () => {
    const rows = Array.from({ length: 30_000 }, (_, i) => `${i},"row ${i},\nsecond line"`);
    const records = await all(readCsv(file('long.csv', `id,text\n${rows.join('\n')}\n`)));
    expect(records).toHaveLength(30_000);
    expect(records.at(-1)).toEqual({ line: 2 * 29_999 + 2, fields: { id: '29999', text: 'row 29999,\nsecond line' } });
  });

  test.each([
    ['a,b\n1,2\n3\n', 'ERR_BAD_FILE Expected FILE:3 to be a row of 2 fields, as its header but received 1'],
    ['a,b\n1,2,3\n', 'ERR_BAD_FILE Expected FILE:2 to be a row of 2 fields, as its header but received 3'],
    ['a,b\n"x\ny",2\n1,"x"y\n', 'ERR_BAD_FILE Expected FILE:4 to be a row of delimited fields'],
    ['a,b\n1,2\n1,"x\n', 'ERR_BAD_FILE Expected FILE:3 to be a row of delimited fields'],
    ['a,b\n1,x"y"\n', 'ERR_BAD_FILE Expected FILE:2 to be a row of delimited fields'],
    ['a,b\r1,2\r3,4\r', 'ERR_BAD_FILE Expected FILE:1 to be lines that end in LF or CRLF'],
    ['a,b,a\n1,2,3\n', 'ERR_BAD_FILE Expected FILE:1 to be a header row of different names but received "a" twice'],
  ])('refuses %j, naming the line the row begins on', async (content, expected) => {
    const path = file('bad.csv', content);
    expect((await failure(readCsv(path), path)).startsWith(expected)).toBe(true);
  });

  test('what stands before a bad row is given first', async () => {
    const path = file('late.csv', 'a,b\n1,2\n3,4\n5\n');
    const seen: unknown[] = [];
    await expect(async () => {
      for await (const { fields } of readCsv(path)) seen.push(fields['a']);
    }).rejects.toThrow(FlatrankError);
    expect(seen).toEqual(['1', '3']);
  });
});

describe('readText', () => {
  test('gives paragraphs with their lines', async () => {
    const blocks = await all(readText(file('a.txt', '\n\none\r\n two  \r\n\t\nthree\n')));
    expect(blocks.map(({ line, text }) => [line, text])).toEqual([
      [3, 'one\n two'],
      [6, 'three'],
    ]);
  });
});

describe('readDocuments', () => {
  test('takes text and id from the fields named; all else is metadata', async () => {
    const path = file('d.jsonl', '{"body":"t","key":7,"n":1}\n\n{"body":"u","key":null}\n{"body":"v","key":"k"}\n');
    expect(await all(readDocuments(path, { textField: 'body', idField: 'key' }))).toEqual([
      { id: '7', text: 't', metadata: { n: 1 } },
      { id: `${path}:3`, text: 'u', metadata: {} },
      { id: 'k', text: 'v', metadata: {} },
    ]);
  });

  test('tab-separated values have no quoting', async () => {
    const path = file('d.tsv', 'id\ttext\n1\t"quoted" at first\n2\t"open\n');
    expect(await all(readDocuments(path))).toEqual([
      { id: '1', text: '"quoted" at first', metadata: {} },
      { id: '2', text: '"open', metadata: {} },
    ]);
  });

  test('the ending is read in any case', async () => {
    expect(await all(readDocuments(file('D.CSV', 'text\na\n')))).toHaveLength(1);
    expect(await all(readDocuments(file('D.NDJSON.GZ', gzipSync('{"text":"a"}'))))).toHaveLength(1);
  });

  test('a missing text names the fields that are there', async () => {
    const path = file('m.jsonl', '{"text":"a"}\n{"txt":"b","n":1}\n');
    expect(await failure(readDocuments(path), path)).toBe(
      'ERR_BAD_FILE Expected FILE:2 to be a record with the field "text" but received one with "txt", "n"',
    );
    const wrong = file('w.jsonl', '{"text":5}\n');
    expect(await failure(readDocuments(wrong), wrong)).toBe(
      'ERR_BAD_FILE Expected FILE:1 to be a record with a string in "text" but received 5',
    );
    const id = file('i.jsonl', '{"text":"a","id":{}}\n');
    expect(await failure(readDocuments(id), id)).toBe(
      'ERR_BAD_FILE Expected FILE:1 to be a record with a string or number in "id" but received an object',
    );
  });
});
