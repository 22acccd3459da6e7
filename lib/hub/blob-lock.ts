/**
 * The lock that huggingface_hub holds while it downloads a blob, so that Python and flatrank wait for each other. It is
 * the operating system's, and ends with the process that holds it, however that ends.
 */
import { mkdir, open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { native } from '../native.js';

/** The right to download a blob; or that another has it, or that locks tell nothing here. */
export type BlobLock = FileHandle | 'held' | 'none';

/** Takes the lock at `path` where it is free: an open file that is closed to give it back. */
export async function takeLock(path: string): Promise<BlobLock> {
  let file: FileHandle | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    file = await open(path, 'a', 0o664); // its group may share the cache, as in huggingface_hub
    const taken = tryLock(file);
    // Older versions of Python's lock remove the file at their end: then this is not the lock any more.
    const current = taken === true && (await isAt(file, path));
    // Some file systems grant a lock to whoever asks.
    if (current && !(await isUnlocked(path))) return file;
    await file.close();
    if (taken === undefined || current) return 'none';
    return 'held';
  } catch {
    await file?.close().catch(() => undefined);
    return 'none'; // the cache may be another's
  }
}

/** Whether the open file is now locked for this handle alone; undefined where its file system has no locks. */
export function tryLock(file: FileHandle): boolean | undefined {
  try {
    return native().tryLock(file.fd);
  } catch {
    return undefined;
  }
}

/** Whether nobody has a lock on the file at `path`. */
export async function isUnlocked(path: string): Promise<boolean> {
  const file = await open(path, 'r+').catch(() => undefined); // NFS locks only what may be written
  try {
    return file !== undefined && tryLock(file) === true;
  } finally {
    await file?.close();
  }
}

async function isAt(file: FileHandle, path: string): Promise<boolean> {
  const [held, found] = await Promise.all([file.stat(), stat(path)]);
  return held.ino === found.ino && held.dev === found.dev;
}
