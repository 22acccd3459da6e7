/**
 * Reading of safetensors files (https://github.com/huggingface/safetensors): eight bytes with the length of a JSON
 * header, the header with each tensor's type, shape and byte range, then the bytes. Knows no model.
 */
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { FlatrankError } from '../errors.js';
import { widen, type FloatType } from './widen.js';

/** Bytes of one element, by the format's type names. Types of less than a byte are not known here. */
export const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
} as const;

/** A type of elements, by the format's name. */
export type TensorType = keyof typeof elementBytes;

/** Headers above this size are refused, as by the format's own reader. */
const maxHeaderBytes = 100_000_000;

/** Most bytes of one read: the operating system takes a signed 32-bit count. */
const maxReadBytes = 2 ** 30;

/** One tensor of a file: its type, shape, and byte range in the file. */
export interface TensorEntry {
  readonly dtype: TensorType;
  readonly shape: readonly number[];
  /** Absolute, from the file's first byte. */
  readonly begin: number;
  readonly end: number;
}

/**
 * A safetensors file of which the header is read and checked: the tensors' byte ranges follow one another without
 * overlap or gap from the header's end to the file's, and each is as long as its type and shape say.
 */
export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The header's `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #identity: string;
  /** The open file, where it is held. */
  #held: number | undefined;

  private constructor(path: string, { tensors, metadata }: Header, identity: string) {
    this.path = path;
    this.tensors = tensors;
    this.metadata = metadata;
    this.#identity = identity;
  }

  /**
   * Reads the header of the file at `path`.
   * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be opened, `ERR_BAD_FILE` where the header, a shape or an offset
   *   does not hold
   */
  static async open(path: string): Promise<SafetensorsFile> {
    return withFile(path, async (file) => {
      const { size } = await statFile(file);
      if (size < 8) throw bad(path, 'is too short to be one');
      const start = Buffer.from(await readRange(path, file, 0, 8));
      if (start.toString('latin1') === 'version ')
        throw bad(path, 'is a pointer of Git LFS: `git lfs pull` fetches it');
      const length = start.readBigUInt64LE();
      if (length > maxHeaderBytes || 8n + length > size) throw bad(path, `names a header of ${String(length)} bytes`);
      const base = 8 + Number(length);
      const header = parseHeader(path, await readRange(path, file, 8, base), base, size);
      return new SafetensorsFile(path, header, await identityOf(file));
    });
  }

  /**
   * Keeps the file open, so that its tensors can be read when another file has taken its place. It is closed when the thread
   * ends: for worker threads.
   * @throws FlatrankError as {@link bytes}
   */
  async hold(): Promise<void> {
    this.#held ??= await this.#reopen();
  }

  /**
   * The tensor `name`.
   * @throws FlatrankError `ERR_BAD_FILE` where there is none
   */
  entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (!entry) throw bad(this.path, `has no tensor \`${name}\``);
    return entry;
  }

  /**
   * The bytes of tensor `name`, little-endian and row-major, in a buffer of their own.
   * @throws FlatrankError `ERR_BAD_FILE` where there is no such tensor, or the file is another one than it was
   */
  async bytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { begin, end } = this.entry(name);
    if (this.#held !== undefined) return readRange(this.path, this.#held, begin, end);
    return withFile(this.path, async (file) => {
      await this.#check(file);
      return readRange(this.path, file, begin, end);
    });
  }

  /**
   * The values of tensor `name` (F32, F16 or BF16), widened to 32 bits, row-major.
   * @throws FlatrankError as {@link bytes}; `ERR_UNSUPPORTED` for another type
   */
  async float32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { dtype } = this.entry(name);
    if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16')
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        `Expected the tensor \`${name}\` of ${this.path} to be F32, F16 or BF16 but received ${dtype}`,
      );
    return widen(dtype satisfies FloatType, await this.bytes(name));
  }

  async #reopen(): Promise<number> {
    const file = await openFile(this.path);
    try {
      await this.#check(file);
      return file;
    } catch (error) {
      await closeFile(file);
      throw error;
    }
  }

  /** The ranges in the header are those of one file: read from another they would give any numbers. */
  async #check(file: number): Promise<void> {
    if ((await identityOf(file)) !== this.#identity) throw bad(this.path, 'is another file than it was');
  }
}

/** Bytes that a tensor takes; NaN or more than any file has where the shape is absurd. */
export function tensorBytes(dtype: TensorType, shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, elementBytes[dtype]);
}

interface Header {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

function parseHeader(path: string, bytes: Uint8Array, base: number, size: number): Header {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw bad(path, 'has a header that is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw bad(path, 'has no header object');
  const { __metadata__: metadata = {}, ...described } = header as Record<string, unknown>;
  if (!isStrings(metadata)) throw bad(path, 'has metadata that are not strings');
  const tensors = new Map(
    Object.entries(described).map(([name, value]) => [name, parseEntry(path, name, value, base)]),
  );
  checkRanges(path, tensors, base, size);
  return { tensors, metadata };
}

function parseEntry(path: string, name: string, value: unknown, base: number): TensorEntry {
  const { dtype, shape, data_offsets: range } = (value ?? {}) as Record<string, unknown>;
  const known = typeof dtype === 'string' && Object.hasOwn(elementBytes, dtype);
  if (!known || !isCounts(shape) || !isCounts(range) || range.length !== 2)
    throw bad(path, `describes the tensor \`${name}\` in no known way`);
  const entry = { dtype: dtype as TensorType, shape, begin: base + range[0]!, end: base + range[1]! };
  if (tensorBytes(entry.dtype, shape) !== range[1]! - range[0]!)
    throw bad(path, `gives the tensor \`${name}\` bytes that do not fit its shape`);
  return entry;
}

/** As the format has it: every byte after the header belongs to one tensor. */
function checkRanges(path: string, tensors: ReadonlyMap<string, TensorEntry>, base: number, size: number): void {
  let at = base;
  for (const [name, { begin, end }] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at || end > size)
      throw bad(
        path,
        `gives the tensor \`${name}\` the bytes ${begin} to ${end} where ${at} to at most ${size} are left`,
      );
    at = end;
  }
  if (at !== size) throw bad(path, `has ${size - at} bytes that belong to no tensor`);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

function isStrings(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

// Plain descriptors: unlike a FileHandle, one that is held is closed without a warning when its thread ends.
const closeFile = promisify(fs.close);
const statFile = promisify(fs.fstat);
const readFile = promisify(fs.read);

async function openFile(path: string): Promise<number> {
  return promisify(fs.open)(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

/** What tells a file from one that took its place. */
async function identityOf(file: number): Promise<string> {
  const { dev, ino, size, mtimeNs } = await promisify(fs.fstat)(file, { bigint: true });
  return [dev, ino, size, mtimeNs].join();
}

async function withFile<T>(path: string, use: (file: number) => Promise<T>): Promise<T> {
  const file = await openFile(path);
  try {
    return await use(file);
  } catch (error) {
    throw error instanceof FlatrankError ? error : unreadable(path, error);
  } finally {
    await closeFile(file);
  }
}

function unreadable(path: string, cause: unknown): FlatrankError {
  const { message } = cause as Error;
  return new FlatrankError('ERR_NOT_FOUND', `Expected a file ${path} but it cannot be read: ${message}`, { cause });
}

/** Callers have checked that the range lies in the file as it was; a file that has shrunk since ends early. */
async function readRange(path: string, file: number, begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(end - begin);
  } catch {
    throw new FlatrankError('ERR_OUT_OF_MEMORY', `Memory for ${end - begin} bytes of ${path} could not be had`);
  }
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await readFile(file, bytes, at, Math.min(bytes.length - at, maxReadBytes), begin + at);
    if (bytesRead === 0) throw bad(path, 'ends before its last tensor');
    at += bytesRead;
  }
  return bytes;
}

function bad(path: string, what: string): FlatrankError {
  return new FlatrankError('ERR_BAD_FILE', `Expected ${path} to be a safetensors file but it ${what}`);
}
