/** One writer at a time. */
import { open, stat, unlink, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { FlatrankError } from '../../errors.js';
import { native } from '../../native.js';
import { isSystemError, writeError } from './disk.js';

/** The name of the lock file in a store. */
export const lockName = 'lock';

/**
 * The right to write to a store, held until `release`. The lock is the operating system's, on a file that names its
 * holder; it ends with the process, so that what a killed writer left behind is in nobody's way.
 */
export class StoreLock {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws FlatrankError `ERR_LOCKED` that names the holder, `ERR_IO`, `ERR_UNSUPPORTED` where files have no locks */
  static async take(directory: string): Promise<StoreLock> {
    const path = join(directory, lockName);
    for (;;) {
      const file = await open(path, 'a+').catch((error: unknown) => {
        throw writeError(path, error);
      });
      try {
        if (!native().tryLock(file.fd)) throw lockedError(directory, await file.readFile('utf8'));
        // Its holder removes the file when it is done with it: what was opened before that is not the lock any more.
        if (await isAt(file, path)) {
          await file.truncate();
          await file.appendFile(
            JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString() }),
          );
          return new StoreLock(path, file);
        }
      } catch (error) {
        await file.close();
        throw writeError(path, error);
      }
      await file.close();
    }
  }

  async release(): Promise<void> {
    await unlink(this.#path).catch(() => undefined);
    await this.#file.close();
  }
}

async function isAt(file: FileHandle, path: string): Promise<boolean> {
  try {
    const [held, found] = await Promise.all([file.stat(), stat(path)]);
    return held.ino === found.ino && held.dev === found.dev;
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}

function lockedError(directory: string, holder: string): FlatrankError {
  let who = 'another writer';
  try {
    const { pid, host, since } = JSON.parse(holder) as Record<string, unknown>;
    who = `process ${String(pid)} on ${String(host)}, since ${String(since)}`;
  } catch {
    // it is about to write its name
  }
  return new FlatrankError('ERR_LOCKED', `Expected ${directory} to have no other writer but it is held by ${who}`);
}
