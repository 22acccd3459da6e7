import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';

/** A copy of a tiny golden model that a test may damage; it goes when the test ends. */
export async function copyOf(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'flatrank-model-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await cp(join(goldenDirectory, 'models', name), directory, { recursive: true });
  return directory;
}

/** What a model directory may hold its weights in. */
export const modelKinds = ['checkpoint', 'onnx'] as const;

/** As {@link copyOf}, without the other kind of weights. */
export async function copyWithOnly(name: string, kind: (typeof modelKinds)[number]): Promise<string> {
  const directory = await copyOf(name);
  await rm(join(directory, kind === 'onnx' ? 'model.safetensors' : 'onnx'), { recursive: true });
  return directory;
}

/** Changes a JSON file of a model directory. */
export async function edit(directory: string, name: string, change: (json: any) => unknown): Promise<void> {
  const path = join(directory, name);
  const json = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify(change(json) ?? json));
}

/** A safetensors file of float32 tensors. */
export function safetensors(tensors: Record<string, { shape: number[]; values: ArrayLike<number> }>): Buffer {
  let offset = 0;
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    const bytes = Buffer.from(Float32Array.from(values).buffer);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

/** Expects a rejection with `code` whose message matches. */
export async function expectCode(promise: Promise<unknown>, code: string, message = /./): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toMatchObject({ name: 'FlatrankError', code, message: expect.stringMatching(message) });
}
