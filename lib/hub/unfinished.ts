/** The unfinished files of a blob, and which of them nobody writes to any more. */
import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isUnlocked, type BlobLock } from './blob-lock.js';
import { notWritable } from './cache.js';

/** How often the writer of an unfinished file of ours touches it. */
export const touchMs = 3_000;
/** For so long no writer of ours leaves its file untouched, unless the process is suspended. */
const ourSilenceMs = 15_000;
/** Python writes 10 MB at once: over a slow connection that takes minutes. */
const foreignSilenceMs = 600_000;
/** What nobody has written to for a day is abandoned, whoever began it. */
const abandonedMs = 86_400_000;

/** An unfinished file. */
export interface Unfinished {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
  /** Whether flatrank began it. */
  readonly ours: boolean;
  /** Whether it surely has no writer. */
  readonly free: boolean;
}

/** A name for an unfinished file that no other has; huggingface_hub's are `HASH.RANDOM.incomplete`, too. */
export function unfinishedPath(blob: string): string {
  return `${blob}.flatrank-${randomBytes(4).toString('hex')}.incomplete`;
}

/** The unfinished files of a blob, where `lock` is what came of taking its lock. */
export async function listUnfinished(blob: string, lock: BlobLock): Promise<Unfinished[]> {
  const [folder, prefix] = [dirname(blob), `${basename(blob)}.`];
  const all = await readdir(folder).catch((error: unknown) => {
    throw notWritable(folder, error);
  });
  const names = all.filter((name) => name.startsWith(prefix) && name.endsWith('.incomplete')).sort();
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const stats = await stat(path).catch(() => undefined); // finished in the meantime
      if (!stats) return;
      const { size, mtimeMs } = stats;
      // Whoever fails marks what is left with the time 0. What is left by a process that was killed is locked neither by
      // the blob's lock nor, if that process went on without it, by a lock of its own.
      const free = mtimeMs === 0 || (typeof lock === 'object' && (await isUnlocked(path)));
      return { path, size, mtimeMs, ours: name.startsWith(`${prefix}flatrank-`), free };
    }),
  );
  return found.filter((entry) => entry !== undefined);
}

/** Whether what has been silent for long may be removed: where there are no locks, time must tell. */
export function isAbandoned({ free, ours, mtimeMs }: Unfinished, lock: BlobLock): boolean {
  return free || (lock === 'none' && (ours || Date.now() - mtimeMs > abandonedMs));
}

/**
 * Tells whether somebody else is downloading the blob, by watching from one look to the next: clocks of others may be wrong.
 */
export class Watch {
  #seen: string | undefined;
  #since = 0;

  /** Whether one is to wait for the writers of `files` or for the holder of the lock. */
  isBusy(files: readonly Unfinished[], lock: BlobLock): boolean {
    const written = files.filter(({ free }) => !free);
    const seen = JSON.stringify(written);
    if (seen !== this.#seen) this.#since = performance.now();
    this.#seen = seen;
    if (written.length === 0 && lock !== 'held') return false;
    const foreign = written.length > 0 && written.every(({ ours }) => !ours);
    // An old time is silence, too, unless a lock says that somebody is there.
    const age = lock === 'held' ? 0 : Date.now() - Math.max(...written.map(({ mtimeMs }) => mtimeMs));
    return Math.max(performance.now() - this.#since, age) <= (foreign ? foreignSilenceMs : ourSilenceMs);
  }
}
