/** The weights of a model directory as one view, whether they are one safetensors file or several with an index. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FlatrankError } from '../errors.js';
import { SafetensorsFile, type TensorType } from './safetensors.js';

/** The file of weights that are not split, and the index of those that are, by transformers' names. */
export const weightsName = 'model.safetensors';
export const weightsIndexName = `${weightsName}.index.json`;

/** Where a tensor's bytes are: enough to read them, or to let onnxruntime read them as external data. */
export interface Weight {
  readonly dtype: TensorType;
  readonly shape: readonly number[];
  /** Path of the file. */
  readonly file: string;
  /** From the file's first byte. */
  readonly offset: number;
  readonly byteLength: number;
  /** The bytes, little-endian and row-major, in a buffer of their own. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
  /** The values, where they are F32, F16 or BF16; others are refused with `ERR_UNSUPPORTED`. */
  float32(): Promise<Float32Array<ArrayBuffer>>;
}

/** The tensors of a model directory by name. Only headers are held in memory. */
export class Weights {
  readonly directory: string;
  /** Paths of the files. */
  readonly files: readonly string[];
  readonly #owners: ReadonlyMap<string, SafetensorsFile>;

  private constructor(directory: string, owners: ReadonlyMap<string, SafetensorsFile>, files: readonly string[]) {
    this.directory = directory;
    this.files = files;
    this.#owners = owners;
  }

  /**
   * Opens `model.safetensors` in `directory`, else the files that `model.safetensors.index.json` names.
   * @throws FlatrankError `ERR_NOT_FOUND` where there is neither or a file is missing, `ERR_BAD_FILE` where one is damaged, or
   *   the index names a tensor that its file does not hold or a file elsewhere
   */
  static async open(directory: string): Promise<Weights> {
    const path = join(directory, weightsName);
    const index = join(directory, weightsIndexName);
    if (!(await isFile(path)) && (await isFile(index))) return Weights.#openSharded(directory, index);
    const file = await SafetensorsFile.open(path);
    return new Weights(directory, new Map([...file.tensors.keys()].map((name) => [name, file])), [path]);
  }

  static async #openSharded(directory: string, index: string): Promise<Weights> {
    const map = await readWeightMap(index);
    const shards = new Map<string, SafetensorsFile>();
    for (const shard of new Set(map.values())) shards.set(shard, await SafetensorsFile.open(join(directory, shard)));
    const owners = new Map<string, SafetensorsFile>();
    for (const [name, shard] of map) {
      const file = shards.get(shard)!;
      file.entry(name);
      owners.set(name, file);
    }
    return new Weights(
      directory,
      owners,
      [...shards.values()].map(({ path }) => path),
    );
  }

  /** Keeps the files open until the thread ends, so that the tensors can be read when other files have taken their places. */
  async hold(): Promise<void> {
    for (const file of new Set(this.#owners.values())) await file.hold();
  }

  /** Names of all tensors. */
  get names(): string[] {
    return [...this.#owners.keys()];
  }

  has(name: string): boolean {
    return this.#owners.has(name);
  }

  /**
   * The tensor `name`.
   * @throws FlatrankError `ERR_BAD_FILE` where there is none
   */
  get(name: string): Weight {
    const owner = this.#owners.get(name);
    if (!owner)
      throw new FlatrankError('ERR_BAD_FILE', `Expected a tensor \`${name}\` in the weights of ${this.directory}`);
    const { dtype, shape, begin, end } = owner.entry(name);
    return {
      dtype,
      shape,
      file: owner.path,
      offset: begin,
      byteLength: end - begin,
      read: () => owner.bytes(name),
      float32: () => owner.float32(name),
    };
  }
}

/**
 * Name of each tensor's file, as the index at `path` has it.
 * @throws FlatrankError `ERR_BAD_FILE` where it cannot be read, or names anything but safetensors files beside it
 */
export async function readWeightMap(path: string): Promise<Map<string, string>> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new FlatrankError('ERR_BAD_FILE', `Expected ${path} to be JSON but: ${(error as Error).message}`);
  }
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  const entries = typeof map === 'object' && map !== null && !Array.isArray(map) ? Object.entries(map) : [];
  if (entries.length === 0) throw badIndex(path, 'a `weight_map` from tensors to files', map);
  for (const [name, file] of entries)
    // Shards lie beside their index: any other path could lead out of the model's directory.
    if (typeof file !== 'string' || !/^[^/\\:\0]+\.safetensors$/.test(file))
      throw badIndex(path, `the name of a safetensors file beside it for \`${name}\``, file);
  return new Map(entries as [string, string][]);
}

function badIndex(path: string, expectation: string, received: unknown): FlatrankError {
  const text = received === undefined ? 'nothing' : JSON.stringify(received).slice(0, 100);
  return new FlatrankError('ERR_BAD_FILE', `Expected ${path} to hold ${expectation} but received ${text}`);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
