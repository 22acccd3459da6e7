/** What a model is, in one hash: two models with equal fingerprints give equal embeddings. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { encoderOf } from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import { externalDataOf } from '../formats/onnx-external.js';
import { Weights } from '../formats/safetensors-weights.js';
import { readModelDirectory, type ModelDirectory } from './directory.js';
import { isFile } from './json-file.js';

/**
 * The fingerprint of the model in a directory, loaded with these settings: 'sha256:' and the hash of its weights, its
 * tokenizer, its modules, the configuration of its graph and the settings. Hashes of large files are kept in the user's cache folder, by size and times.
 * @throws FlatrankError as reading the directory
 */
export async function modelFingerprint(root: string, settings: Readonly<Record<string, unknown>>): Promise<string> {
  const directory = await readModelDirectory(root);
  const hash = createHash('sha256');
  for (const file of [...(await weightFiles(directory)), ...(await tokenizerFiles(directory))])
    include(hash, [basename(file), await fileHash(file)]);
  const { lowercase, modules = null } = directory;
  include(hash, { graph: graphOf(directory), lowercase, modules, ...settings });
  return `sha256:${hash.digest('hex')}`;
}

/** The checkpoint, in however many files; else the ONNX file with its external data. */
async function weightFiles({ transformer, weights }: ModelDirectory): Promise<string[]> {
  if (weights.type === 'checkpoint') return [...(await Weights.open(transformer)).files].sort();
  const external = await externalDataOf(weights.file);
  return [weights.file, ...external.map((name) => join(dirname(weights.file), name))];
}

/** What the configuration says of the graph that is built for a checkpoint; of a finished one it says nothing. */
function graphOf({ transformer, weights, config }: ModelDirectory): Record<string, unknown> {
  if (weights.type === 'onnx') return {};
  const { family, architecture } = encoderOf(config, join(transformer, 'config.json'));
  return { family: family.prefix, ...architecture, initializerRange: undefined, dropout: undefined }; // of training
}

async function tokenizerFiles({ transformer }: ModelDirectory): Promise<string[]> {
  const files = ['tokenizer.json', 'tokenizer_config.json'].map((name) => join(transformer, name));
  const there = await Promise.all(files.map(isFile));
  return files.filter((_, i) => there[i]);
}

/** Adds a value in one form: keys in order, arrays of numbers by their bytes. */
function include(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  else if (typeof value === 'function')
    include(hash, (value as (x: number) => number)(-0.5)); // an activation: each of them has its own value there
  else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
    hash.update(`{${entries.length}:`);
    for (const [key, entry] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${JSON.stringify(key)}:`);
      include(hash, entry);
    }
  } else hash.update(`${JSON.stringify(value) ?? 'undefined'};`);
}

const known = new Map<string, Promise<string>>();

/** The SHA-256 of a file, computed once for a file of this place, size and times. */
async function fileHash(path: string): Promise<string> {
  const place = resolve(path);
  const { size, mtimeNs, ctimeNs, ino } = await stat(place, { bigint: true });
  // The time of the last change (ctime) too: programs may set the other one as they like.
  const key = [place, size, mtimeNs, ctimeNs, ino].join(' ');
  let digest = known.get(key);
  if (!digest) known.set(key, (digest = cachedHash(place, key)));
  return digest.catch((error: unknown) => {
    known.delete(key);
    throw error;
  });
}

/** XDG_CACHE_HOME; an empty one is none. */
function cacheFolder(): string {
  const { XDG_CACHE_HOME: folder } = process.env;
  return folder === undefined || folder === '' ? join(homedir(), '.cache') : folder;
}

async function cachedHash(path: string, key: string): Promise<string> {
  const name = createHash('sha256').update(key).digest('hex');
  const cache = join(cacheFolder(), 'flatrank', 'hashes', name);
  const cached = await readFile(cache, 'utf8').catch(() => '');
  if (/^[0-9a-f]{64}$/.test(cached)) return cached;
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } catch (cause) {
    throw new FlatrankError('ERR_NOT_FOUND', `Expected a file ${path} that can be read but: ${String(cause)}`, {
      cause,
    });
  }
  const digest = hash.digest('hex');
  await keep(cache, digest).catch(() => undefined); // a cache that cannot be written is none
  return digest;
}

async function keep(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}
