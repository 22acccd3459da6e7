import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SentenceTransformer } from 'flatrank';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SafetensorsFile, type TensorType } from '../../dist/formats/safetensors.js';
import { writeSafetensors, type TensorData } from '../../dist/formats/safetensors-write.js';
import { relativeBucket } from '../../dist/encoders/relative-bias.js';
import { copyWithOnly } from './model-directories.js';

const text = '늦은 밤 해변에서 간호사가 눈을 치우고 있다.';

async function encode(directory: string): Promise<Float32Array> {
  await using model = await SentenceTransformer.load(directory);
  return await model.encode(text);
}

/** The checkpoint of `directory`, each tensor through `change`. */
async function tensorsOf(
  directory: string,
  change: (name: string, values: Float32Array) => [string, TensorType, Uint8Array],
): Promise<Map<string, TensorData>> {
  const file = await SafetensorsFile.open(join(directory, 'model.safetensors'));
  const tensors = new Map<string, TensorData>();
  for (const [name, { shape }] of file.tensors) {
    const [changed, dtype, data] = change(name, await file.float32(name));
    tensors.set(changed, { dtype, shape, data });
  }
  return tensors;
}

const bytesOf = (array: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** bfloat16 by cutting the low half off. */
const cut = (values: Float32Array): Uint16Array =>
  Uint16Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length), (bits) => bits >>> 16);

describe('a checkpoint', () => {
  it('that is links to files elsewhere, as in a cache', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    const expected = await encode(directory);
    const elsewhere = await mkdtemp(join(tmpdir(), 'flatrank-blobs-'));
    onTestFinished(() => rm(elsewhere, { recursive: true }));
    const blob = join(elsewhere, '0123abcd');
    await rename(join(directory, 'model.safetensors'), blob);
    await symlink(blob, join(directory, 'model.safetensors'));
    expect(await encode(directory)).toEqual(expected);
  });

  it('in several files, in one folder or not', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    const expected = await encode(directory);
    const tensors = [...(await tensorsOf(directory, (name, values) => [name, 'F32', bytesOf(values)]))];
    const weightMap: Record<string, string> = {};
    for (const shard of [0, 1, 2]) {
      const part = tensors.filter((_, i) => i % 3 === shard);
      await writeSafetensors(join(directory, `model-${shard}.safetensors`), new Map(part));
      for (const [name] of part) weightMap[name] = `model-${shard}.safetensors`;
    }
    await writeFile(join(directory, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    await rm(join(directory, 'model.safetensors'));
    expect(await encode(directory)).toEqual(expected);
    await mkdir(join(directory, 'elsewhere'));
    await rename(join(directory, 'model-1.safetensors'), join(directory, 'elsewhere', 'one'));
    await symlink(join(directory, 'elsewhere', 'one'), join(directory, 'model-1.safetensors'));
    expect(await encode(directory)).toEqual(expected);
  });

  it('in 16 bits is widened', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    const path = join(directory, 'model.safetensors');
    const narrow = await tensorsOf(directory, (name, values) => [name, 'BF16', bytesOf(cut(values))]);
    const wide = await tensorsOf(directory, (name, values) => {
      const widened = Uint32Array.from(cut(values), (bits) => bits << 16);
      return [name, 'F32', new Uint8Array(widened.buffer)];
    });
    await writeSafetensors(path, wide);
    const expected = await encode(directory);
    await writeSafetensors(path, narrow);
    expect(await encode(directory)).toEqual(expected);
    await using model = await SentenceTransformer.load(directory);
    await model.save(join(directory, 'out'));
    expect(await encode(join(directory, 'out'))).toEqual(expected);
  });

  it('of early days calls scale and shift gamma and beta', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    const expected = await encode(directory);
    const renamed = await tensorsOf(directory, (name, values) => [
      `bert.${name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta')}`,
      'F32',
      bytesOf(values),
    ]);
    await writeSafetensors(join(directory, 'model.safetensors'), renamed);
    expect(await encode(directory)).toEqual(expected);
  });
});

it('relative positions fall into the buckets of T5', () => {
  // By hand: half of 32 buckets a side, of those 8 of one distance each, then in powers of 16 up to 128.
  expect([0, -1, -7, 1, 7].map(relativeBucket)).toEqual([0, 1, 7, 17, 23]);
  expect([-8, -11, -12, -16, -127, -128, -500, 8, 500].map(relativeBucket)).toEqual([8, 8, 9, 10, 15, 15, 15, 24, 31]);
});
