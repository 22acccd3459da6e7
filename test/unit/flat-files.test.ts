import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FlatrankError, IDSelectorRange, IndexFlatIP, IndexFlatL2 } from 'flatrank';

const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-files-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const d = 24;
const n = 900;
const rows = Float32Array.from({ length: n * d }, (_, i) => Math.sin(i * 12.9898) * 3);
const queries = rows.subarray(0, 5 * d).map((value) => value + 0.01);

async function written(Index: typeof IndexFlatL2 | typeof IndexFlatIP, name: string): Promise<string> {
  const file = path.join(folder, name);
  await using index = new Index(d);
  await index.add(rows);
  await index.write(file);
  return file;
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

describe.each([
  ['IndexFlatL2', IndexFlatL2, 'IxF2', 1],
  ['IndexFlatIP', IndexFlatIP, 'IxFI', 0],
] as const)('files of %s', (name, Index, fourcc, metricType) => {
  it('have the layout of faiss', async () => {
    const bytes = readFileSync(await written(Index, `${name}.layout`));
    expect(bytes.length).toBe(45 + n * d * 4);
    expect(bytes.toString('latin1', 0, 4)).toBe(fourcc);
    expect([bytes.readInt32LE(4), bytes.readBigInt64LE(8), bytes[32], bytes.readInt32LE(33)]).toEqual([
      d,
      BigInt(n),
      1,
      metricType,
    ]);
    expect(bytes.readBigUInt64LE(37)).toBe(BigInt(n * d));
    expect(new Float32Array(bytes.buffer.slice(bytes.byteOffset + 45, bytes.byteOffset + 45 + 8))).toEqual(
      rows.subarray(0, 2),
    );
    expect(readdirSync(folder).filter((file) => file.endsWith('.tmp'))).toEqual([]);
  });

  it.each([{}, { mmap: true }, { mmap: true, codes: 'none' }] as const)(
    'answer as before when read with %j',
    async (options) => {
      const file = await written(Index, `${name}.read`);
      await using original = new Index(d);
      await original.add(rows);
      await using index = await Index.read(file, options);
      expect([index.dimension, index.ntotal]).toEqual([d, n]);
      expect(await index.search(queries, 20)).toEqual(await original.search(queries, 20));
      expect(index.reconstruct(n - 1)).toEqual(rows.slice((n - 1) * d));
      if ('codes' in options) expect(index.memoryBytes).toBe(n * 8); // the rows stay in the file
      // Rows in memory follow mapped ones, and mapped ones can be removed.
      await Promise.all([index.add(queries), original.add(queries)]);
      expect(await index.removeIds(new IDSelectorRange(10, 30))).toBe(20);
      await original.removeIds(new IDSelectorRange(10, 30));
      expect(await index.search(queries, 20)).toEqual(await original.search(queries, 20));
      const again = path.join(folder, `${name}.again`);
      await index.write(again);
      await using third = await Index.read(again);
      expect(await third.search(queries, 20)).toEqual(await original.search(queries, 20));
    },
  );

  it('can be written over while they are mapped', async () => {
    const file = await written(Index, `${name}.over`);
    await using index = await Index.read(file, { mmap: true });
    const before = await index.search(queries, 5);
    await index.add(queries);
    await index.write(file);
    expect((await index.search(queries, 5, { selector: new IDSelectorRange(0, n) })).labels).toEqual(before.labels);
    await using again = await Index.read(file);
    expect(again.ntotal).toBe(n + 5);
  });

  it('of an empty index are read', async () => {
    const file = path.join(folder, `${name}.empty`);
    await using index = new Index(d);
    await index.write(file);
    for (const mmap of [false, true]) {
      await using read = await Index.read(file, { mmap });
      expect([read.ntotal, read.dimension]).toEqual([0, d]);
    }
  });
});

describe('files that are no index', () => {
  it('are refused, whatever is wrong with them', async () => {
    const good = readFileSync(await written(IndexFlatL2, 'good'));
    const file = path.join(folder, 'bad');
    const change = (edit: (bytes: Buffer) => void): Buffer => {
      const bytes = Buffer.from(good);
      edit(bytes);
      return bytes;
    };
    const bad: Buffer[] = [
      Buffer.alloc(0),
      good.subarray(0, 3),
      good.subarray(0, 44),
      good.subarray(0, 45),
      good.subarray(0, good.length - 1),
      Buffer.concat([good, Buffer.of(0)]),
      change((b) => void b.write('IxPq', 0, 'latin1')),
      change((b) => void b.writeInt32LE(0, 4)),
      change((b) => void b.writeInt32LE(-24, 4)),
      change((b) => void b.writeInt32LE(2 ** 31 - 1, 4)),
      change((b) => void b.writeBigInt64LE(-1n, 8)),
      change((b) => void b.writeBigInt64LE(2n ** 62n, 8)),
      change((b) => {
        b.writeBigInt64LE(2n ** 60n, 8);
        b.writeBigUInt64LE(2n ** 62n, 37);
      }),
      change((b) => void b.writeInt32LE(0, 33)),
      change((b) => void b.writeBigUInt64LE(2n ** 64n - 1n, 37)),
      change((b) => void b.writeFloatLE(NaN, 45 + 100 * 4)),
      change((b) => void b.writeFloatLE(Infinity, 45 + 100 * 4)),
    ];
    for (const [i, bytes] of bad.entries()) {
      writeFileSync(file, bytes);
      for (const mmap of [false, true])
        expect(await codeOf(IndexFlatL2.read(file, { mmap })), `file ${i}`).toBe('ERR_BAD_FILE');
    }
  });

  it('are refused with every single byte of the header changed, or read for what they then say', async () => {
    const good = readFileSync(await written(IndexFlatL2, 'good'));
    const file = path.join(folder, 'changed');
    for (let at = 0; at < 45; at++) {
      const bytes = Buffer.from(good);
      bytes[at]! ^= 0xff;
      writeFileSync(file, bytes);
      // faiss neither reads the 16 dummy bytes; is_trained means nothing for flat indexes.
      const meaningless = at >= 16 && at < 33;
      expect(await codeOf(IndexFlatL2.read(file)), `byte ${at}`).toBe(meaningless ? 'resolved' : 'ERR_BAD_FILE');
    }
  });

  it('of the other metric, missing ones and folders are refused', async () => {
    const file = await written(IndexFlatL2, 'l2');
    await expect(IndexFlatIP.read(file)).rejects.toThrow(/inner product but it is one by L2/);
    expect(await codeOf(IndexFlatIP.read(file))).toBe('ERR_BAD_FILE');
    expect(await codeOf(IndexFlatL2.read(path.join(folder, 'none')))).toBe('ERR_NOT_FOUND');
    expect(await codeOf(IndexFlatL2.read(folder))).toBe('ERR_NOT_FOUND');
    expect(await codeOf(IndexFlatL2.read(7 as unknown as string))).toBe('ERR_INVALID_ARGUMENT');
    await using index = new IndexFlatL2(d);
    expect(await codeOf(index.write(path.join(folder, 'none', 'x')))).toBe('ERR_NOT_FOUND');
    expect(await codeOf(index.write(folder))).toBe('ERR_NOT_FOUND');
    expect(existsSync(path.join(folder, 'none'))).toBe(false);
  });

  it('leave nothing behind where writing is aborted', async () => {
    const reason = new Error('enough');
    await using index = new IndexFlatL2(d);
    await index.add(rows);
    const before = readdirSync(folder);
    await expect(index.write(path.join(folder, 'aborted'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const writing = index.write(path.join(folder, 'aborted'), { signal: controller.signal });
    controller.abort(reason);
    await expect(writing).rejects.toBe(reason);
    expect(readdirSync(folder)).toEqual(before);
  });

  it('that shrink after they were opened without a map are refused or read whole', async () => {
    const file = await written(IndexFlatL2, 'shrinking');
    const reading = IndexFlatL2.read(file);
    truncateSync(file, 100);
    expect(['ERR_BAD_FILE', 'resolved']).toContain(await codeOf(reading));
  });
});
