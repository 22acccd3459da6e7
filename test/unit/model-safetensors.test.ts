import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FlatrankError } from 'flatrank';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { writeSafetensors, type TensorData } from '../../dist/formats/safetensors-write.js';
import { Weights } from '../../dist/formats/safetensors-weights.js';
import { halfToFloat } from '../../dist/formats/widen.js';
import { damage, fuzzCount, fuzzTimeoutMs, randomNumbers } from './fuzz.js';
import { expectCode, safetensors } from './model-directories.js';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flatrank-safetensors-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function written(bytes: Uint8Array): Promise<string> {
  const path = join(directory, `${Math.random()}.safetensors`);
  await writeFile(path, bytes);
  return path;
}

/** A file whose header is this JSON, followed by `data`. */
function withHeader(header: string, data: Uint8Array): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), data]);
}

const one = (dtype: string, shape: number[], range: unknown): string =>
  JSON.stringify({ __metadata__: { format: 'pt' }, x: { dtype, shape, data_offsets: range } });

const two = (a: number[], b: number[]): string =>
  JSON.stringify({
    a: { dtype: 'F32', shape: [(a[1]! - a[0]!) / 4], data_offsets: a },
    b: { dtype: 'F32', shape: [(b[1]! - b[0]!) / 4], data_offsets: b },
  });

it('reads F32, F16 and BF16', async () => {
  const f32 = await SafetensorsFile.open(await written(safetensors({ x: { shape: [2, 2], values: [1, -2, 0.5, 3] } })));
  expect(f32.tensors.get('x')?.shape).toEqual([2, 2]);
  expect([...(await f32.float32('x'))]).toEqual([1, -2, 0.5, 3]);
  const f16 = await written(withHeader(one('F16', [2], [0, 4]), Uint8Array.of(0x00, 0x3c, 0x00, 0xc0)));
  expect([...(await (await SafetensorsFile.open(f16)).float32('x'))]).toEqual([1, -2]);
  const bf16 = await written(withHeader(one('BF16', [2], [0, 4]), Uint8Array.of(0x80, 0x3f, 0x40, 0xc0)));
  expect([...(await (await SafetensorsFile.open(bf16)).float32('x'))]).toEqual([1, -3]);
});

it('widens halves exactly', () => {
  expect([0x0001, 0x03ff, 0x0400, 0x7bff, 0x8000].map(halfToFloat)).toEqual([
    2 ** -24,
    1023 * 2 ** -24,
    2 ** -14,
    65504,
    -0,
  ]);
  expect(halfToFloat(0x7c00)).toBe(Infinity);
  expect(halfToFloat(0xfc00)).toBe(-Infinity);
  expect(halfToFloat(0x7e00)).toBeNaN();
});

describe('refuses', () => {
  const data = new Uint8Array(16);
  it.each([
    ['an empty file', new Uint8Array(0)],
    ['a header longer than the file', Buffer.concat([Buffer.from([255, 0, 0, 0, 0, 0, 0, 0]), data])],
    ['an immense header', Buffer.concat([Buffer.alloc(8, 255), data])],
    ['a header that is not JSON', withHeader('{"x":', data)],
    ['a header that is no object', withHeader('[]', data)],
    ['a tensor that is no object', withHeader('{"x":null}', data)],
    ['an unknown type', withHeader(one('F99', [4], [0, 16]), data)],
    ['bytes outside the file', withHeader(one('F32', [8], [0, 32]), data)],
    ['bytes that do not fit the shape', withHeader(one('F32', [3], [0, 16]), data)],
    ['a range backwards', withHeader(one('F32', [4], [16, 0]), data)],
    ['a negative shape', withHeader(one('F32', [-4], [0, 16]), data)],
    ['bytes after the last tensor', withHeader(one('F32', [3], [0, 12]), data)],
    ['a gap before the first tensor', withHeader(one('F32', [3], [4, 16]), data)],
    ['an absurd shape', withHeader(one('F32', [2 ** 52, 2 ** 52, 0], [0, 0]), data)],
    ['a shape that is no product', withHeader(one('F32', [0.5, 8], [0, 16]), data)],
    ['tensors that overlap', withHeader(two([0, 12], [8, 16]), data)],
    ['metadata that are not strings', withHeader('{"__metadata__":{"a":1}}', new Uint8Array(0))],
    ['a header that is not UTF-8', withHeader('{"\ufffd": 1}', data).fill(0xff, 10, 13)],
    ['offsets that are no numbers', withHeader(one('F32', [4], ['0', '16']), data)],
  ])('%s', async (_, bytes) => {
    await expectCode(SafetensorsFile.open(await written(bytes)), 'ERR_BAD_FILE');
  });

  it('a missing file, a missing tensor, another type', async () => {
    await expectCode(SafetensorsFile.open(join(directory, 'none')), 'ERR_NOT_FOUND');
    const file = await SafetensorsFile.open(await written(withHeader(one('I64', [2], [0, 16]), data)));
    await expectCode(file.float32('y'), 'ERR_BAD_FILE', /`y`/);
    await expectCode(file.float32('x'), 'ERR_UNSUPPORTED', /I64/);
  });
});

const tensor = (dtype: TensorData['dtype'], shape: number[], data: ArrayBufferView): TensorData => ({
  dtype,
  shape,
  data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

describe('writing', () => {
  const tensors = new Map([
    ['b', tensor('F16', [3], Uint16Array.of(0x3c00, 0xc000, 0))],
    ['ids', tensor('I64', [1, 2], BigInt64Array.of(0n, -1n))],
    ['a', tensor('F32', [2, 2], Float32Array.of(1, -2, 0.5, 3))],
    ['none', tensor('F32', [0, 4], new Float32Array(0))],
  ]);

  it('gives what is read again, aligned, by name', async () => {
    const path = join(directory, 'written.safetensors');
    await writeSafetensors(path, tensors);
    const file = await SafetensorsFile.open(path);
    expect([...file.tensors.keys()]).toEqual(['ids', 'a', 'none', 'b']);
    expect(file.metadata).toEqual({ format: 'pt' });
    for (const [name, { begin, shape, dtype }] of file.tensors) {
      expect(begin % { F16: 2, F32: 4, I64: 8 }[dtype as 'F16' | 'F32' | 'I64']).toBe(0);
      expect([shape, await file.bytes(name)]).toEqual([tensors.get(name)!.shape, tensors.get(name)!.data]);
    }
    await writeSafetensors(path, new Map(), { note: 'empty' });
    expect((await SafetensorsFile.open(path)).metadata).toEqual({ note: 'empty' });
  });

  it('leaves nothing where it fails, and what was there', async () => {
    const folder = join(directory, 'kept');
    await mkdir(folder);
    const path = join(folder, 'x.safetensors');
    await writeSafetensors(path, tensors);
    const before = await readFile(path);
    const wrong = new Map([['a', tensor('F32', [3], new Float32Array(2))]]);
    await expectCode(writeSafetensors(path, wrong), 'ERR_INVALID_ARGUMENT', /`a`/);
    await expectCode(writeSafetensors(join(folder, 'no', 'x'), tensors), 'ERR_NOT_FOUND', /writable/);
    await mkdir(join(folder, 'y'));
    await expectCode(writeSafetensors(join(folder, 'y'), tensors), 'ERR_NOT_FOUND');
    expect((await readdir(folder)).sort()).toEqual(['x.safetensors', 'y']);
    expect((await readFile(path)).equals(before)).toBe(true);
  });
});

describe('a directory of weights', () => {
  const part = (name: string): Map<string, TensorData> => new Map([[name, tensor('F32', [2], Float32Array.of(1, 2))]]);
  const index = (map: unknown): string => JSON.stringify({ metadata: { total_size: 16 }, weight_map: map });
  let folder = '';
  beforeAll(async () => {
    folder = join(directory, 'sharded');
    await mkdir(folder);
    for (const [i, name] of ['a', 'b'].entries())
      await writeSafetensors(join(folder, `model-0000${i + 1}-of-00002.safetensors`), part(name));
  });
  const open = async (text: string): Promise<Weights> => {
    await writeFile(join(folder, 'model.safetensors.index.json'), text);
    return Weights.open(folder);
  };

  it('is one file or several', async () => {
    const shards = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' };
    const weights = await open(index(shards));
    expect(weights.names).toEqual(['a', 'b']);
    expect(weights.get('b')).toMatchObject({ dtype: 'F32', shape: [2], file: join(folder, shards.b), byteLength: 8 });
    expect([...(await weights.get('b').float32())]).toEqual([1, 2]);
    const { file, offset, byteLength } = weights.get('a');
    expect((await readFile(file)).subarray(offset, offset + byteLength)).toEqual(
      Buffer.from(await weights.get('a').read()),
    );
    await expectCode(
      Promise.resolve().then(() => weights.get('c')),
      'ERR_BAD_FILE',
      /`c`/,
    );
    await writeSafetensors(join(folder, 'model.safetensors'), part('whole'));
    expect((await Weights.open(folder)).names).toEqual(['whole']);
    await rm(join(folder, 'model.safetensors'));
    await expectCode(Weights.open(directory), 'ERR_NOT_FOUND', /model\.safetensors/);
  });

  it('refuses an index that does not hold', async () => {
    for (const map of [
      {},
      null,
      [],
      'x',
      { a: 3 },
      { a: '../sharded/model-00001-of-00002.safetensors' },
      { a: '/x.safetensors' },
    ])
      await expectCode(open(index(map)), 'ERR_BAD_FILE', /index\.json/);
    await expectCode(open('{'), 'ERR_BAD_FILE', /index\.json/);
    await expectCode(open(index({ a: 'none.safetensors' })), 'ERR_NOT_FOUND', /none/);
    await expectCode(open(index({ a: 'model-00002-of-00002.safetensors' })), 'ERR_BAD_FILE', /`a`/);
  });
});

it('damaged files are refused by a FlatrankError, or read', { timeout: fuzzTimeoutMs }, async () => {
  const path = await written(new Uint8Array(0));
  const random = randomNumbers(3);
  await writeSafetensors(
    path,
    new Map(['x', 'y', 'z'].map((name, i) => [name, tensor('F32', [2, i], new Float32Array(2 * i))])),
  );
  const whole = await readFile(path);
  let refused = 0;
  for (let i = 0; i < fuzzCount; i++) {
    const header = 8 + Number(whole.readBigUInt64LE());
    // Most damage to the header, where it is of interest.
    const bytes =
      i % 4
        ? Buffer.concat([damage(whole.subarray(0, header), random, false), whole.subarray(header)])
        : damage(whole, random, false);
    await writeFile(path, bytes);
    try {
      const file = await SafetensorsFile.open(path);
      for (const [name, { begin, end }] of file.tensors) {
        expect(end).toBeLessThanOrEqual(bytes.length);
        expect((await file.bytes(name)).length).toBe(end - begin);
      }
    } catch (error) {
      if (!(error instanceof FlatrankError)) throw error;
      expect(error.code).toBe('ERR_BAD_FILE');
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(fuzzCount / 2);
});
