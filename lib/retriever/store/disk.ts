/**
 * What the store asks of the file system, and its errors in our voice. One object, so that a test can make any of it
 * fail.
 */
import { fstatSync, read } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FlatrankError } from '../../errors.js';

export const disk = {
  /** @returns the first directory that had to be made, undefined where `path` was there */
  makeDirectory: (path: string): Promise<string | undefined> => mkdir(path, { recursive: true }),
  /** The names in a directory. */
  list: (path: string): Promise<string[]> => readdir(path),
  /** A new file; one that is there is an error. */
  create: (path: string): Promise<FileHandle> => open(path, 'wx'),
  openToRead: (path: string): Promise<FileHandle> => open(path, 'r'),
  read: (path: string): Promise<Buffer> => readFile(path),
  /** How many bytes it read. By a callback: that costs a third of a FileHandle's promise, and a search reads k documents. */
  readInto: (file: FileHandle, into: Uint8Array, at: number): Promise<number> =>
    new Promise((resolve, reject) => {
      read(file.fd, into, 0, into.length, at, (error, bytes) => {
        if (error) reject(error);
        else resolve(bytes);
      });
    }),
  size: async (file: FileHandle): Promise<number> => (await file.stat()).size,
  /** The same at once, in a microsecond: for what is asked before every search. */
  sizeNow: (file: FileHandle): number => fstatSync(file.fd).size,
  /** Appends all of `bytes`. */
  write: async (file: FileHandle, bytes: Uint8Array): Promise<void> => {
    await file.writeFile(bytes);
  },
  /** Returns when what was written lies on the disk. */
  sync: (file: FileHandle): Promise<void> => file.sync(),
  rename: (from: string, to: string): Promise<void> => rename(from, to),
  remove: (path: string): Promise<void> => rm(path, { force: true }),
  exists: async (path: string): Promise<boolean> => {
    try {
      await stat(path);
      return true;
    } catch {
      return false;
    }
  },
  /** Returns when the names in a directory lie on the disk. Windows has no such thing and needs none. */
  syncDirectory: async (path: string): Promise<void> => {
    if (process.platform === 'win32') return;
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

/** Makes a directory, with those it lies in, and brings their names to the disk. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await disk.makeDirectory(path);
  if (first === undefined) return;
  for (let made = path; ; made = dirname(made)) {
    await disk.syncDirectory(dirname(made));
    if (made === first || made === dirname(made)) return;
  }
}

/** Writes a new file and syncs it; where that fails the file is gone. */
export async function writeWhole(path: string, chunks: readonly Uint8Array[]): Promise<void> {
  try {
    const file = await disk.create(path);
    try {
      for (const chunk of chunks) await disk.write(file, chunk);
      await disk.sync(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    await disk.remove(path).catch(() => undefined);
    throw error;
  }
}

/** What the operating system says while `path` is written, as an `ERR_IO`; other errors as they are. */
export function writeError(path: string, error: unknown): unknown {
  return isSystemError(error)
    ? new FlatrankError('ERR_IO', `Expected ${path} to be written but: ${error.message}`, { cause: error })
    : error;
}

/** What the operating system says while `path` is read, as an error that names it; other errors as they are. */
export function readError(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  if (error.code === 'ENOENT')
    return new FlatrankError('ERR_NOT_FOUND', `Expected a file ${path} but there is none`, { cause: error });
  const code = error.code === 'EIO' ? 'ERR_IO' : 'ERR_NOT_FOUND';
  return new FlatrankError(code, `Expected ${path} to be readable but: ${error.message}`, { cause: error });
}

/** An `ERR_BAD_FILE` that names a file of a store. */
export function damaged(path: string, expectation: string, received: string, cause?: unknown): FlatrankError {
  return new FlatrankError(
    'ERR_BAD_FILE',
    `Expected ${path} to ${expectation} but received ${received}`,
    cause === undefined ? undefined : { cause },
  );
}

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && !(error instanceof FlatrankError) && 'errno' in error;
}

/** Exactly `bytes` bytes of a file from `at` on, in memory of their own. The caller has held them against its size. */
export async function readExactly(
  file: FileHandle,
  path: string,
  at: number,
  bytes: number,
): Promise<Buffer<ArrayBuffer>> {
  const buffer = Buffer.from(new ArrayBuffer(bytes));
  let done = 0;
  while (done < bytes) {
    const read = await disk.readInto(file, buffer.subarray(done), at + done).catch((error: unknown) => {
      throw readError(path, error);
    });
    if (read === 0) throw damaged(path, `hold ${at + bytes} bytes`, `${at + done}`);
    done += read;
  }
  return buffer;
}
