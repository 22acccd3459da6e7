/** Index files: faiss's flat format on disk, a few megabytes at a time. */
import { randomBytes } from 'node:crypto';
import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { FlatrankError } from '../errors.js';
import {
  decodeFaissFlatHeader,
  encodeFaissFlatHeader,
  faissHeaderBytes,
  type FaissFlatHeader,
} from '../formats/faiss.js';

/** Bytes of rows that are read, written or copied at a time. */
export const CHUNK_BYTES = 4 << 20;

/**
 * Writes an index file: to a file of another name beside it first, so that `path` holds what it held before or all of the
 * index, whatever happens.
 * @param rowsOf copies rows [begin, begin + count)
 * @throws FlatrankError `ERR_NOT_FOUND` where the file cannot be written
 */
export async function writeIndexFile(
  path: string,
  header: FaissFlatHeader,
  rowsOf: (begin: number, count: number) => Float32Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const step = Math.max(1, Math.floor(CHUNK_BYTES / 4 / header.dimension));
  try {
    const file = await open(draft, 'wx');
    try {
      await file.writeFile(encodeFaissFlatHeader(header));
      for (let begin = 0; begin < header.rows; begin += step) {
        signal?.throwIfAborted();
        const rows = rowsOf(begin, Math.min(step, header.rows - begin));
        await file.writeFile(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw systemError(error, `Expected to write an index to ${path} but`);
  }
}

/** An index file whose header is read and holds. */
export class IndexFile {
  readonly path: string;
  readonly header: FaissFlatHeader;
  readonly #file: FileHandle;

  private constructor(path: string, header: FaissFlatHeader, file: FileHandle) {
    this.path = path;
    this.header = header;
    this.#file = file;
  }

  /** @throws FlatrankError `ERR_NOT_FOUND` where it cannot be opened, `ERR_BAD_FILE` where it is no flat index */
  static async open(path: string): Promise<IndexFile> {
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'r');
      const { size } = await file.stat();
      const bytes = Buffer.alloc(faissHeaderBytes);
      const { bytesRead } = await file.read(bytes, 0, faissHeaderBytes, 0);
      return new IndexFile(path, decodeFaissFlatHeader(path, bytes.subarray(0, bytesRead), size), file);
    } catch (error) {
      await file?.close();
      throw systemError(error, `Expected an index file ${path} but`);
    }
  }

  /** Hands all rows to `take` in order, some at a time; each array is read before the next is asked for. */
  async readRows(take: (rows: Float32Array, more: number) => void, signal: AbortSignal | undefined): Promise<void> {
    const { dimension, rows } = this.header;
    const step = Math.min(Math.max(1, Math.floor(CHUNK_BYTES / 4 / dimension)), rows);
    const chunk = new Float32Array(step * dimension);
    const bytes = new Uint8Array(chunk.buffer);
    for (let begin = 0; begin < rows; begin += step) {
      signal?.throwIfAborted();
      const count = Math.min(step, rows - begin);
      await this.#readFully(bytes.subarray(0, count * dimension * 4), faissHeaderBytes + begin * dimension * 4);
      take(chunk.subarray(0, count * dimension), rows - begin - count);
    }
  }

  async #readFully(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesRead } = await this.#file.read(bytes, at, bytes.length - at, position + at);
      if (bytesRead === 0)
        throw new FlatrankError('ERR_BAD_FILE', `Expected ${this.path} not to shrink while it is read`);
      at += bytesRead;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** What the system refused, in our words; anything else as it is. */
function systemError(error: unknown, expectation: string): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  return new FlatrankError('ERR_NOT_FOUND', `${expectation} received: ${error.message}`, { cause: error });
}
