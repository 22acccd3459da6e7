import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { halfToFloat } from '../../dist/formats/widen.js';
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
