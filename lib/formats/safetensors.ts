/**
 * Reading of safetensors files (https://github.com/huggingface/safetensors): eight bytes with the length of a JSON
 * header, the header with each tensor's type, shape and byte range, then the bytes. Knows no model.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { FlatrankError } from '../errors.js';

/** Bytes of one element, by the format's type names. */
const elementBytes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
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
};

/** Headers above this size are refused, as by the format's own reader. */
const maxHeaderBytes = 100_000_000;

/** One tensor of a file: its type ('F32', 'BF16', …), shape, and byte range in the file. */
export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Absolute, from the file's first byte. */
  readonly begin: number;
  readonly end: number;
}

/** A safetensors file of which the header is read and checked: every byte range lies inside the file. */
export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;

  private constructor(path: string, tensors: ReadonlyMap<string, TensorEntry>) {
    this.path = path;
    this.tensors = tensors;
  }

  /**
   * Reads the header of the file at `path`.
   * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be opened, `ERR_BAD_FILE` where the header, a shape or an offset
   *   does not hold
   */
  static async open(path: string): Promise<SafetensorsFile> {
    return withFile(path, async (file) => {
      const { size } = await file.stat();
      if (size < 8) throw bad(path, 'is too short to be one');
      const length = Number((await readRange(path, file, 0, 8)).readBigUInt64LE());
      if (length > maxHeaderBytes || 8 + length > size) throw bad(path, `names a header of ${length} bytes`);
      const header = await readRange(path, file, 8, 8 + length);
      return new SafetensorsFile(path, parseHeader(path, header.toString('utf8'), 8 + length, size));
    });
  }

  /**
   * The values of tensor `name` (F32, F16 or BF16), widened to 32 bits, row-major.
   * @throws FlatrankError `ERR_BAD_FILE` where there is no such tensor or it ends early, `ERR_UNSUPPORTED` for another type
   */
  async float32(name: string): Promise<Float32Array> {
    const entry = this.tensors.get(name);
    if (!entry) throw bad(this.path, `has no tensor \`${name}\``);
    const convert = { F32: floats, F16: halves, BF16: bfloats }[entry.dtype];
    if (!convert)
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        `Expected the tensor \`${name}\` of ${this.path} to be F32, F16 or BF16 but received ${entry.dtype}`,
      );
    return withFile(this.path, async (file) => convert(await readRange(this.path, file, entry.begin, entry.end)));
  }
}

/** The 32-bit value of a 16-bit IEEE 754 half, given as its bits. Exact. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const floats = (bytes: Buffer): Float32Array => new Float32Array(aligned(bytes));
const halves = (bytes: Buffer): Float32Array => Float32Array.from(new Uint16Array(aligned(bytes)), halfToFloat);
const bfloats = (bytes: Buffer): Float32Array =>
  new Float32Array(Uint32Array.from(new Uint16Array(aligned(bytes)), (bits) => bits << 16).buffer);

/** The bytes in a buffer of their own: typed arrays want aligned offsets. */
function aligned(bytes: Buffer): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

function parseHeader(path: string, json: string, base: number, size: number): Map<string, TensorEntry> {
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch {
    throw bad(path, 'has a header that is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw bad(path, 'has no header object');
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: range } = (value ?? {}) as Record<string, unknown>;
    const bytes = typeof dtype === 'string' ? elementBytes[dtype] : undefined;
    if (bytes === undefined || !isCounts(shape) || !isCounts(range) || range.length !== 2)
      throw bad(path, `describes the tensor \`${name}\` in no known way`);
    const [begin, end] = [base + range[0]!, base + range[1]!];
    const count = shape.reduce((product, n) => product * n, 1);
    if (begin > end || end > size || count * bytes !== end - begin)
      throw bad(path, `gives the tensor \`${name}\` bytes that do not fit its shape or the file`);
    tensors.set(name, { dtype: dtype as string, shape, begin, end });
  }
  return tensors;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw new FlatrankError(
      'ERR_NOT_FOUND',
      `Expected a file ${path} but it cannot be read: ${(error as Error).message}`,
    );
  }
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function readRange(path: string, file: FileHandle, begin: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(end - begin);
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, begin + at);
    if (bytesRead === 0) throw bad(path, 'ends before its last tensor');
    at += bytesRead;
  }
  return bytes;
}

function bad(path: string, what: string): FlatrankError {
  return new FlatrankError('ERR_BAD_FILE', `Expected ${path} to be a safetensors file but it ${what}`);
}
