/**
 * The cache on disk, in huggingface_hub's layout, so that Python and flatrank share it: in a folder for each repository
 * `blobs/` (files by their hash), `snapshots/COMMIT/` (links to blobs under the repository's paths), `refs/REVISION`
 * (the commit that a branch or tag was last seen at) and `trees/COMMIT.json` (the files of a commit); and beside these
 * folders `.locks/REPOSITORY/HASH.lock`.
 */
import { randomBytes } from 'node:crypto';
import { copyFile, link, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { z } from 'zod';
import { FlatrankError } from '../errors.js';

/** Kinds of repositories that are downloaded here. */
export type RepoType = 'model' | 'dataset';

/** A file of a commit. */
export interface RepoFile {
  readonly path: string;
  readonly size: number;
  /** What names the blob: the sha256 of a large file, else git's object id (sha1). */
  readonly hash: string;
}

const sha1 = z.string().regex(/^[0-9a-f]{40}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.number().int().nonnegative();
/** The files of a commit by their paths, as a tree file holds them. */
export const treeEntries = z.record(
  z.string(),
  z.looseObject({ size, blob_id: sha1, lfs_sha256: sha256.nullish(), lfs_size: size.nullish() }),
);
export type TreeEntries = z.output<typeof treeEntries>;
const treeFile = z.object({ format_version: z.literal(1), files: treeEntries });

/** Whether a revision is a commit, which never changes, and not a branch or tag. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** One repository's folder in the cache. */
export class RepoCache {
  readonly folder: string;

  constructor(cache: string, repoType: RepoType, id: string) {
    this.folder = join(cache, [`${repoType}s`, ...id.split('/')].join('--'));
  }

  get blobs(): string {
    return join(this.folder, 'blobs');
  }

  /** The file that whoever downloads the blob `hash` locks. */
  lock(hash: string): string {
    return join(dirname(this.folder), '.locks', basename(this.folder), `${hash}.lock`);
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  /** The commit that `revision` was last seen at, if it ever was. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const commit = (await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '')).trim();
    return isCommit(commit) ? commit : undefined;
  }

  /** Notes that `revision` is at `commit`. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return;
    await replace(join(this.folder, 'refs', revision), (path) => writeFile(path, commit));
  }

  /** The files of a commit, where they were listed before. */
  async readTree(commit: string): Promise<RepoFile[] | undefined> {
    const text = await readFile(join(this.folder, 'trees', `${commit}.json`), 'utf8').catch(() => 'null');
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return undefined;
    }
    const tree = treeFile.safeParse(json);
    return tree.success ? filesOf(tree.data.files) : undefined;
  }

  async writeTree(commit: string, files: TreeEntries): Promise<void> {
    const text = JSON.stringify({ format_version: 1, files }, undefined, 1);
    await replace(join(this.folder, 'trees', `${commit}.json`), (path) => writeFile(path, text));
  }

  /** Paths of the files that a snapshot has, sorted; none where there is no such snapshot. */
  async paths(commit: string): Promise<string[]> {
    const folder = this.snapshot(commit);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .sort();
  }

  /** Whether the snapshot has the file, whole as far as its size tells. */
  async has(commit: string, path: string, bytes?: number): Promise<boolean> {
    const found = await sizeOf(join(this.snapshot(commit), path));
    return found !== undefined && (bytes === undefined || found === bytes);
  }

  /** Makes a blob appear in a snapshot: as a relative link, or as a copy where the file system knows no links. */
  async link(commit: string, { path, hash }: RepoFile): Promise<void> {
    const blob = join(this.blobs, hash);
    const target = join(this.snapshot(commit), path);
    await replace(target, async (temporary) => {
      await symlink(relative(dirname(target), blob), temporary)
        .catch(() => link(blob, temporary))
        .catch(() => copyFile(blob, temporary));
    });
  }
}

/** Checked files of a listing. A path that would leave the snapshot is refused: it comes from the repository. */
export function filesOf(entries: TreeEntries): RepoFile[] {
  return Object.entries(entries).map(([path, { size: bytes, blob_id: oid, lfs_sha256, lfs_size }]) => {
    const parts = path.split('/');
    if (parts.some((part) => /^\.{0,2}$|[\\:\0]/.test(part)))
      throw new FlatrankError('ERR_HUB', `Expected paths inside the repository but received ${JSON.stringify(path)}`);
    return { path, size: lfs_sha256 ? (lfs_size ?? bytes) : bytes, hash: lfs_sha256 ?? oid };
  });
}

/** Bytes of the file at `path`, links followed; undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isFile() ? stats.size : undefined;
}

/** Makes what `make` makes appear at `path` at once, in place of what was there. */
async function replace(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await make(temporary);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw notWritable(path, cause);
  }
}

/** The error for a cache that cannot be written to. */
export function notWritable(path: string, cause: unknown): FlatrankError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FlatrankError('ERR_IO', `Expected ${path} in the Hub's cache to be writable but: ${reason}`, {
    cause,
  });
}
