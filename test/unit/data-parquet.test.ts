import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadKlueMrc, readDocuments, readParquet } from 'flatrank';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { all, failure, file } from './data-files.js';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/parquet/${name}`, import.meta.url));

// Nine rows in groups of four, as pyarrow writes them with each codec.
describe('readParquet', () => {
  test.each(['snappy', 'gzip', 'zstd', 'brotli', 'lz4', 'plain-v2'])('reads what pyarrow wrote: %s', async (codec) => {
    const records = await all(readParquet(fixture(`${codec}.parquet`)));
    expect(records.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(records[1]).toEqual({
      line: 2,
      fields: {
        guid: 'g1',
        title: '제목',
        context: '문맥 0',
        question: '질문 1?',
        answers: { answer_start: [1], text: ['답 1'] },
        score: 1 / 7,
        big: 1,
        when: '2026-01-02T03:04:05.000Z',
      },
    });
    expect(records[0]!.fields['big']).toBe('1152921504606846976'); // not exact as a number
    expect(records[6]!.fields['score']).toBeNull();
  });

  test('a file that leads the decoder round for ever ends at the time its size justifies', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const path = fixture('endless.parquet');
    const failed = failure(readParquet(path), path);
    while (vi.getTimerCount() === 0) await new Promise(setImmediate);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await failed).toMatch(/^ERR_BAD_FILE .*time/);
  });

  test('reads only the columns asked for', async () => {
    const records = await all(readParquet(fixture('zstd.parquet'), { columns: ['guid'] }));
    expect(records[8]).toEqual({ line: 9, fields: { guid: 'g8' } });
    const path = fixture('zstd.parquet');
    expect(await failure(readParquet(path, { columns: ['nope'] }), path)).toMatch(/^ERR_BAD_FILE .*nope/);
  });

  test('rows are documents and questions too', async () => {
    const documents = await all(readDocuments(fixture('snappy.parquet'), { textField: 'question', idField: 'guid' }));
    expect(documents[3]).toMatchObject({ id: 'g3', text: '질문 3?', metadata: { title: '제목' } });
    const rows = await loadKlueMrc(fixture('snappy.parquet'));
    expect(rows[3]).toEqual({
      id: 'g3',
      title: '제목',
      question: '질문 3?',
      context: '문맥 1',
      answers: [{ text: '답 3', answerStart: 3 }],
    });
  });

  test('stops with the loop that reads it', async () => {
    for await (const { line } of readParquet(fixture('gzip.parquet'))) if (line === 2) break;
  });

  test('a run length that would fill the memory is refused', async () => {
    const bytes = readFileSync(fixture('levels.parquet'));
    // The definition levels of 20 rows, 4 bytes of length behind the page header: one run of 2^31 − 1 of them.
    const levels = bytes.indexOf(Buffer.from([2, 0, 0, 0, 40, 1]));
    expect(levels).toBeGreaterThan(0);
    bytes.set([6, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1], levels);
    const path = file('bomb.parquet', bytes);
    expect(await failure(readParquet(path), path)).toMatch(/^ERR_BAD_FILE Expected FILE to be a Parquet file/);
  });

  test.each([
    ['', /^ERR_BAD_FILE Expected FILE to be a Parquet file/],
    ['PAR1', /^ERR_BAD_FILE Expected FILE to be a Parquet file/],
    ['{"a":1}\n'.repeat(9), /^ERR_BAD_FILE Expected FILE to be a Parquet file .*footer/],
  ])('refuses %j', async (content, expected) => {
    const path = file('bad.parquet', content);
    expect(await failure(readParquet(path), path)).toMatch(expected);
  });

  test('a missing file, a directory', async () => {
    const missing = file('here.parquet', '').replace('here', 'missing');
    expect(await failure(readParquet(missing), missing)).toMatch(/^ERR_NOT_FOUND/);
    const directory = fileURLToPath(new URL('../fixtures', import.meta.url));
    expect(await failure(readParquet(directory), directory)).toMatch(/^ERR_BAD_FILE Expected FILE to be a file/);
  });
});
