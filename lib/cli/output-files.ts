import { open, rename, rm } from 'node:fs/promises';
import { FlatrankError } from '../errors.js';
import { isDirectory } from '../model/json-file.js';

/**
 * Files that appear together when all of them are whole: each is written under a temporary name beside its own, and
 * `commit` gives them their names. Disposing without a commit leaves nothing behind.
 */
export class OutputFiles {
  readonly #written: { path: string; temporary: string }[] = [];

  /** Writes one file's bytes, and syncs them to the disk. A directory in its place is refused before any work is done. */
  async write(path: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    if (await isDirectory(path))
      throw new FlatrankError(
        'ERR_NOT_FOUND',
        `Expected ${path} to be a file, or a name for one, but it is a directory`,
      );
    const temporary = `${path}.${process.pid}.tmp`;
    const file = await orNotWritable(path, open(temporary, 'wx'));
    this.#written.push({ path, temporary });
    try {
      for await (const chunk of chunks) await orNotWritable(path, file.writeFile(chunk));
      await orNotWritable(path, file.sync());
    } finally {
      await file.close();
    }
  }

  /** Gives the files their names: that of the last one first, for where it cannot be had those beside it stay away too. */
  async commit(): Promise<void> {
    for (let next = this.#written.at(-1); next; next = this.#written.at(-1)) {
      await orNotWritable(next.path, rename(next.temporary, next.path));
      this.#written.pop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { temporary } of this.#written.splice(0)) await rm(temporary, { force: true });
  }
}

async function orNotWritable<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FlatrankError('ERR_NOT_FOUND', `Expected ${path} to be writable but: ${reason}`, { cause });
  }
}
