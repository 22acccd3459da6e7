/** Readers fed with bytes nobody wrote: they give records or end in a FlatrankError. More rounds with FLATRANK_FUZZ=n. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { FlatrankError, readRecords, type RecordFormat } from 'flatrank';
import { expect, test } from 'vitest';
import { Generator } from '../../lib/random/index.js';
import { file } from './data-files.js';

const rounds = Number(process.env['FLATRANK_FUZZ'] ?? 60);
const seeds: Record<Exclude<RecordFormat, 'parquet'>, string> = {
  jsonl: '{"a":"x\\n","b":[1,{"c":null}]}\r\n{"a":"한"}\n',
  json: '[{"a":"x\\"]","b":[1,{"c":null}]},\n {"a":"한"}\n]\n',
  csv: 'a,b\r\n"x, ""y""\n",1\r\n한,2\n',
  tsv: 'a\tb\r\nx "y\t1\r\n한\t2\n',
};

/** A copy with a few bytes changed, cut out or put in. */
function mutated(bytes: Uint8Array, random: Generator): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let i = 1 + random.integers(4); i > 0; i--) {
    const at = random.integers(result.length + 1);
    const [before, behind] = [result.subarray(0, at), result.subarray(at)];
    const kind = random.integers(3);
    if (kind === 0) result = Uint8Array.of(...before, random.integers(256), ...behind.subarray(1));
    else if (kind === 1) result = Uint8Array.of(...before, ...behind.subarray(random.integers(8)));
    else result = Uint8Array.of(...before, ...Array.from({ length: 4 }, () => random.integers(256)), ...behind);
  }
  return result;
}

/** The records that come before the end or an error, which must be ours. */
async function records(path: string, format: RecordFormat): Promise<number> {
  let count = 0;
  try {
    for await (const { line } of readRecords(path, { format })) {
      expect(line).toBeGreaterThan(0);
      count++;
    }
  } catch (error) {
    if (!(error instanceof FlatrankError)) throw error;
    expect(error.code).toBe('ERR_BAD_FILE');
    expect(error.message).toContain(path);
  }
  return count;
}

test.each(Object.entries(seeds))('%s', async (format, seed) => {
  const random = new Generator(11);
  const bytes = new TextEncoder().encode(seed);
  for (let i = 0; i < rounds * 4; i++) {
    const content = i % 4 === 0 ? Uint8Array.from({ length: 300 }, () => random.integers(256)) : mutated(bytes, random);
    await records(file('fuzz', content), format as RecordFormat);
    if (i % 4 === 1) await records(file('fuzz.gz', mutated(gzipSync(bytes), random)), format as RecordFormat);
  }
});

test('parquet', async () => {
  const random = new Generator(12);
  const names = ['snappy', 'zstd', 'plain-v2', 'levels', 'gzip', 'brotli', 'lz4'];
  for (let i = 0; i < rounds / 6; i++) {
    const name = `../fixtures/parquet/${names[i % names.length]!}.parquet`;
    const bytes = readFileSync(new URL(name, import.meta.url));
    await records(file('fuzz.parquet', mutated(bytes, random)), 'parquet');
  }
});
