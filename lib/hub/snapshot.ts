/** A repository of the Hub at one commit, as a folder on disk that holds what was asked for. */
import { datasetInfo, listFiles, modelInfo } from '@huggingface/hub';
import { z } from 'zod';
import { FlatrankError, invalidArgument } from '../errors.js';
import { downloadBlob } from './blob.js';
import { filesOf, isCommit, RepoCache, treeEntries, type RepoFile, type RepoType, type TreeEntries } from './cache.js';
import { HubClient, RefusedError, UnreachableError } from './http.js';
import { hubSettings, type HubSettings } from './settings.js';

/** Bytes of the files asked for: how many are there, of how many. */
export interface DownloadProgress {
  readonly done: number;
  readonly total: number;
}

/** Which repository, and how it is reached. */
export interface SnapshotOptions {
  readonly repoType: RepoType;
  /** Branch, tag or commit; default 'main'. */
  readonly revision?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Instead of the environment's. */
  readonly settings?: HubSettings | undefined;
}

/** Files that are downloaded at once. */
const parallel = 4;

const commitInfo = z.looseObject({ sha: z.string().regex(/^[0-9a-f]{40}$/) });
const treeEntry = z.looseObject({
  type: z.string(),
  path: z.string(),
  size: z.number().optional(),
  oid: z.string().optional(),
  lfs: z.looseObject({ oid: z.string(), size: z.number() }).optional(),
  xetHash: z.string().optional(),
});

/** Whether `id` can name a repository: `name` or `owner/name`, as the Hub allows them. */
export function isHubId(id: string): boolean {
  return id.length <= 96 && /^(\w[\w.-]*\/)?\w[\w.-]*$/.test(id) && !/\.\.|--|[.-](\/|$)|\.git$/.test(id);
}

/** Opened, it knows its files; {@link fetch} brings some of them to {@link folder}. */
export class HubSnapshot {
  readonly id: string;
  readonly commit: string;
  /** Paths of the repository's files; offline, where they were never listed, of those in the cache. */
  readonly paths: readonly string[];
  readonly #cache: RepoCache;
  readonly #client: HubClient;
  readonly #repoType: RepoType;
  readonly #files: ReadonlyMap<string, RepoFile> | undefined;
  /** Why nothing can be downloaded: offline, or what the Hub answered. */
  readonly #closed: unknown;

  private constructor(
    { id, repoType, client, cache }: Repo,
    commit: string,
    files: readonly RepoFile[] | readonly string[],
    closed?: unknown,
  ) {
    this.id = id;
    this.commit = commit;
    this.#cache = cache;
    this.#client = client;
    this.#repoType = repoType;
    this.#closed = closed;
    this.paths = files.map((file) => (typeof file === 'string' ? file : file.path));
    const known = files.filter((file) => typeof file !== 'string');
    this.#files = known.length === files.length ? new Map(known.map((file) => [file.path, file])) : undefined;
  }

  /**
   * Finds the repository `id`. Without an answer from the Hub, what was cached before counts, as in huggingface_hub.
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_NOT_FOUND` where the Hub (or, where it is not to be reached, the cache)
   *   has no such repository or revision, `ERR_HUB` where the Hub fails, `ERR_IO` where the cache cannot be written to; an abort rejects with `signal.reason`
   */
  static async open(id: string, o: SnapshotOptions): Promise<HubSnapshot> {
    if (!isHubId(id)) throw invalidArgument('id', "a Hub id, 'owner/name'", id);
    const revision = checkRevision(o.revision ?? 'main');
    const settings = o.settings ?? (await hubSettings());
    const { repoType } = o;
    const client = new HubClient(settings, o.signal);
    const repo = { id, repoType, client, cache: new RepoCache(settings.cache, repoType, id) };
    o.signal?.throwIfAborted();
    if (settings.offline) {
      const message = `Expected ${id} at ${revision} in the cache ${settings.cache} (HF_HUB_OFFLINE is set)`;
      return HubSnapshot.#openCached(
        repo,
        revision,
        new FlatrankError('ERR_NOT_FOUND', `${message} but it is not there`),
      );
    }
    try {
      return await HubSnapshot.#openOnline(repo, revision);
    } catch (error) {
      o.signal?.throwIfAborted();
      // What the Hub has deleted is not conjured up again; any other failure may be the network's.
      if (error instanceof RefusedError && error.hubCode === 'RevisionNotFound') throw error;
      if (!(error instanceof UnreachableError)) return HubSnapshot.#openCached(repo, revision, error);
      const message = `Expected ${id} at ${revision} in the cache ${settings.cache} but it is not there, and: ${error.message}`;
      return HubSnapshot.#openCached(repo, revision, new FlatrankError('ERR_NOT_FOUND', message, { cause: error }));
    }
  }

  static async #openOnline(repo: Repo, revision: string): Promise<HubSnapshot> {
    const commit = isCommit(revision) ? revision : await resolveCommit(repo, revision);
    let files = await repo.cache.readTree(commit);
    if (!files) {
      const tree = await listTree(repo, commit);
      files = filesOf(tree);
      await repo.cache.writeTree(commit, tree);
    }
    await repo.cache.writeRef(revision, commit);
    return new HubSnapshot(repo, commit, files);
  }

  static async #openCached(repo: Repo, revision: string, why: unknown): Promise<HubSnapshot> {
    const commit = await repo.cache.commitOf(revision);
    const paths = commit === undefined ? [] : await repo.cache.paths(commit);
    if (commit === undefined || paths.length === 0) throw why;
    return new HubSnapshot(repo, commit, (await repo.cache.readTree(commit)) ?? paths, why);
  }

  /** Where the files are. */
  get folder(): string {
    return this.#cache.snapshot(this.commit);
  }

  /**
   * Brings files to {@link folder}; those that are there stay as they are.
   * @throws FlatrankError as `open`; `ERR_HUB` also where what comes has not the promised size and hash
   */
  async fetch(paths: readonly string[], onProgress?: (progress: DownloadProgress) => void): Promise<void> {
    const files = await this.#missing(paths);
    const sizes = new Map(paths.map((path) => [path, this.#files?.get(path)?.size ?? 0]));
    const total = sum(sizes.values());
    for (const { path } of files) sizes.set(path, 0);
    const report = (): void => onProgress?.({ done: sum(sizes.values()), total });
    report();

    const queue = files.values();
    const stop = new AbortController(); // where one file fails, the others need not go on
    const client = this.#client.until(stop.signal);
    const work = async (): Promise<void> => {
      for (const file of queue) {
        stop.signal.throwIfAborted();
        await this.#download(client, file, (bytes) => {
          sizes.set(file.path, bytes);
          report();
        });
      }
    };
    const workers = Array.from({ length: Math.min(parallel, files.length) }, () =>
      work().catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    await Promise.allSettled(workers); // nothing is written any more when this rejects
    await Promise.all(workers);
  }

  /** The files that are to be downloaded. */
  async #missing(paths: readonly string[]): Promise<RepoFile[]> {
    const files: RepoFile[] = [];
    const lost: string[] = [];
    for (const path of paths) {
      const file = this.#files?.get(path);
      if (await this.#cache.has(this.commit, path, file?.size)) continue;
      if (file) files.push(file);
      else lost.push(path);
    }
    if (lost.length === 0 && (files.length === 0 || this.#closed === undefined)) return files;
    const names = [...lost, ...files.map(({ path }) => path)].join(', ');
    const reason = this.#closed instanceof Error ? `: ${this.#closed.message}` : '';
    const code = isUnwritable(this.#closed) ? 'ERR_IO' : 'ERR_NOT_FOUND';
    throw new FlatrankError(code, `Expected ${names} of ${this.id} in ${this.folder}${reason}`);
  }

  async #download(client: HubClient, file: RepoFile, onBytes: (bytes: number) => void): Promise<void> {
    const { endpoint } = client.settings;
    const prefix = this.#repoType === 'dataset' ? 'datasets/' : '';
    const path = file.path.split('/').map(encodeURIComponent).join('/');
    const url = `${endpoint}/${prefix}${this.id}/resolve/${this.commit}/${path}`;
    await downloadBlob(client, url, file, this.#cache, onBytes);
    await this.#cache.link(this.commit, file);
  }
}

interface Repo {
  readonly id: string;
  readonly repoType: RepoType;
  readonly client: HubClient;
  readonly cache: RepoCache;
}

async function resolveCommit({ id, repoType, client }: Repo, revision: string): Promise<string> {
  const ask = { name: id, revision, hubUrl: client.settings.endpoint, fetch: client.fetch };
  const info = await answered(id, () =>
    repoType === 'model'
      ? modelInfo({ ...ask, additionalFields: ['sha'] })
      : datasetInfo({ ...ask, additionalFields: ['sha'] }),
  );
  return checked(id, commitInfo, info).sha;
}

async function listTree({ id, repoType, client }: Repo, commit: string): Promise<TreeEntries> {
  const repo = { type: repoType, name: id };
  const files: [string, object][] = [];
  await answered(id, async () => {
    const ask = { repo, revision: commit, recursive: true, hubUrl: client.settings.endpoint, fetch: client.fetch };
    for await (const entry of listFiles(ask)) {
      const { type, path, size, oid, lfs, xetHash } = checked(id, treeEntry, entry);
      if (type !== 'file') continue;
      const large = lfs && { lfs_sha256: lfs.oid, lfs_size: lfs.size };
      files.push([path, { size, blob_id: oid, ...large, ...(xetHash === undefined ? {} : { xet_hash: xetHash }) }]);
    }
  });
  return checked(id, treeEntries, Object.fromEntries(files));
}

/** The library's answer; what it throws itself is about an answer that it did not understand. */
async function answered<T>(id: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof FlatrankError) throw error;
    throw new FlatrankError('ERR_HUB', `Expected the Hub to describe ${id} but: ${String(error)}`, { cause: error });
  }
}

function checked<S extends z.ZodType>(id: string, schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new FlatrankError('ERR_HUB', `Expected the Hub to describe ${id} but: ${z.prettifyError(result.error)}`);
}

/** Whether nothing was downloaded because the cache cannot be written to. */
function isUnwritable(error: unknown): boolean {
  return error instanceof FlatrankError && error.code === 'ERR_IO';
}

function checkRevision(revision: unknown): string {
  const plain = typeof revision === 'string' && /^[^\\:\0\s?#%]+$/.test(revision);
  if (plain && revision.split('/').every((part) => !/^\.{0,2}$/.test(part))) return revision;
  throw invalidArgument('revision', 'a branch, tag or commit', revision);
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, n) => total + n, 0);
