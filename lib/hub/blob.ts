/**
 * Download of one blob: into a file of its own beside the place, resumed where a connection breaks, checked by size and
 * hash, then renamed. Two processes (of any library that keeps this layout) may do so at once: where locks work one waits
 * for the other, names of unfinished files are unique, and a finished one appears whole.
 *
 * The Hub's own JavaScript library neither resumes nor checks hashes and lets two downloads write the same file, so this
 * part is ours.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { mkdir, open, rename, rm, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { FlatrankError } from '../errors.js';
import { takeLock, tryLock, type BlobLock } from './blob-lock.js';
import { notWritable, sizeOf, type RepoCache, type RepoFile } from './cache.js';
import { RefusedError, type HubClient } from './http.js';
import { isAbandoned, listUnfinished, touchMs, unfinishedPath, Watch, type Unfinished } from './unfinished.js';

/** How often to look whether somebody else's download of the same blob has ended. */
const watchMs = 200;

/** Called with the bytes of the blob that are there; the number falls where a download starts again. */
export type OnBytes = (bytes: number) => void;

/**
 * Brings the blob of `file` from `url` to `cache`.
 * @throws FlatrankError `ERR_HUB` where the transfer fails or what comes is not what was promised, `ERR_IO` where it cannot
 *   be written; what was received stays for the next time
 */
export async function downloadBlob(
  client: HubClient,
  url: string,
  file: RepoFile,
  cache: RepoCache,
  onBytes: OnBytes,
): Promise<void> {
  const blob = join(cache.blobs, file.hash);
  await mkdir(cache.blobs, { recursive: true }).catch((error: unknown) => {
    throw notWritable(blob, error);
  });
  const watch = new Watch();
  while ((await sizeOf(blob)) !== file.size) {
    const lock = await takeLock(cache.lock(file.hash));
    try {
      // Whoever had the lock until now may have brought it.
      if ((await sizeOf(blob)) === file.size) break;
      const others = await listUnfinished(blob, lock);
      if (watch.isBusy(others, lock)) {
        await client.pause(watchMs);
        continue;
      }
      const download = await BlobDownload.begin(client, url, file, blob, onBytes, others);
      const late = (await listUnfinished(blob, 'none')).filter(
        ({ path, free }) => !free && path < download.path && others.every((other) => other.path !== path),
      );
      // Of two that begin in the same moment, without locks, one steps back.
      if (late.length > 0) await download.leave();
      else await download.run(others, lock);
    } finally {
      if (typeof lock === 'object') await lock.close();
    }
  }
  onBytes(file.size);
}
class BlobDownload {
  readonly #client: HubClient;
  readonly #url: string;
  readonly #expected: RepoFile;
  readonly #blob: string;
  /** The unfinished file. */
  readonly path: string;
  readonly #file: FileHandle;
  /** Bytes that an earlier download left in the file. */
  readonly #left: number;
  readonly #onBytes: OnBytes;
  #hash: Hash;
  #size = 0;
  /** Whether bytes of an earlier download are among those there. */
  #adopted = false;

  private constructor(
    client: HubClient,
    url: string,
    expected: RepoFile,
    blob: string,
    path: string,
    file: FileHandle,
    left: number,
    onBytes: OnBytes,
  ) {
    this.#client = client;
    this.#url = url;
    this.#expected = expected;
    this.#blob = blob;
    this.path = path;
    this.#file = file;
    this.#left = left;
    this.#onBytes = onBytes;
    this.#hash = this.#newHash();
  }

  /** Opens a file of this download's own: the largest of those of `others` that are free, if any is, else a new one. */
  static async begin(
    client: HubClient,
    url: string,
    expected: RepoFile,
    blob: string,
    onBytes: OnBytes,
    others: readonly Unfinished[],
  ): Promise<BlobDownload> {
    const path = unfinishedPath(blob);
    const largest = largestOf(others.filter(({ free }) => free));
    const taken = largest && (await takeOver(largest.path, path));
    try {
      const file = taken ?? (await open(path, 'wx'));
      tryLock(file); // as long as it is open: whoever has the blob's lock sees that it has a writer
      return new BlobDownload(client, url, expected, blob, path, file, taken ? largest.size : 0, onBytes);
    } catch (error) {
      throw notWritable(path, error);
    }
  }

  /** Downloads the blob, going on from what is there already: in its file or else in the largest of `others`. */
  async run(others: readonly Unfinished[], lock: BlobLock): Promise<void> {
    const touch = setInterval(() => void utimes(this.path, new Date(), new Date()).catch(() => undefined), touchMs);
    try {
      await this.#adopt(others);
      for (const other of others)
        if (isAbandoned(other, lock)) await rm(other.path, { force: true }).catch(() => undefined);
      await this.#receive();
      if (!this.#isRight() && this.#adopted) {
        // The earlier file was not a beginning of this one (another library may write out of order).
        await this.#restart();
        await this.#receive();
      }
      if (!this.#isRight()) {
        await this.#restart();
        throw new FlatrankError(
          'ERR_HUB',
          `Expected ${this.#expected.path} from ${this.#host} to have the hash ${this.#expected.hash} but it has another`,
        );
      }
      await this.#writing(() => this.#finish());
    } catch (error) {
      clearInterval(touch);
      await this.leave();
      throw error;
    } finally {
      clearInterval(touch);
    }
  }

  /** Ends this download; what is there stays for the next one. */
  async leave(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    // Free for whoever comes next: its time says that nobody writes to it.
    if (((await sizeOf(this.path)) ?? 0) > 0) await utimes(this.path, 0, 0).catch(() => undefined);
    else await rm(this.path, { force: true }).catch(() => undefined);
  }

  async #finish(): Promise<void> {
    await this.#file.sync();
    await this.#file.close();
    await rename(this.path, this.#blob).catch(async (error: unknown) => {
      // Somebody took this download for dead (its process was suspended, say), and has brought the blob or will.
      if ((await sizeOf(this.#blob)) === this.#expected.size) await rm(this.path, { force: true });
      else if ((await sizeOf(this.path)) !== undefined) throw error;
    });
  }

  async #adopt(others: readonly Unfinished[]): Promise<void> {
    const end = this.#expected.size - 1;
    if (this.#left > 0) {
      await this.#writing(() => this.#file.truncate(Math.min(this.#left, end + 1)));
      await this.#read(this.#file.createReadStream({ start: 0, autoClose: false }), (chunk) => {
        this.#count(chunk);
      });
      return;
    }
    // Copied, and not gone on in: whoever began it may not be dead after all, and write.
    const largest = largestOf(others);
    if (largest && end >= 0) await this.#read(createReadStream(largest.path, { end }), (chunk) => this.#append(chunk));
  }

  /**
   * Has `use` use what an earlier download left. Where that cannot be read, or the disk has no room for a copy of it, this
   * one begins at the start.
   */
  async #read(stream: ReadStream, use: (chunk: Uint8Array) => unknown): Promise<void> {
    try {
      for await (const chunk of stream) await use(chunk as Buffer);
      this.#adopted = this.#size > 0;
    } catch {
      await this.#restart();
    }
  }

  async #receive(): Promise<void> {
    let best = this.#size;
    await this.#client.retry(
      async () => {
        if (this.#size < this.#expected.size || this.#expected.size === 0) await this.#attempt();
      },
      () => {
        const further = this.#size > best;
        best = Math.max(best, this.#size);
        return further;
      },
    );
  }

  /** One request for what is missing. */
  async #attempt(): Promise<void> {
    const idle = new IdleTimer(this.#client.settings.timeoutMs);
    try {
      const headers = { 'accept-encoding': 'identity', ...(this.#size > 0 ? { range: `bytes=${this.#size}-` } : {}) };
      const response = await this.#client.request(this.#url, headers, idle.signal).catch(async (error: unknown) => {
        // A range that the server does not have: what is there is not its file's beginning.
        if (this.#size === 0 || !(error instanceof RefusedError) || error.status !== 416) throw error;
        await this.#restart();
        return this.#client.request(this.#url, { 'accept-encoding': 'identity' }, idle.signal);
      });
      // A server may send all of a file of which a part was asked.
      if (this.#size > 0 && !startsAt(response, this.#size)) await this.#restart();
      if (response.body)
        for await (const chunk of response.body) {
          idle.again();
          await this.#append(chunk as Uint8Array);
        }
    } catch (error) {
      throw this.#client.failure(idle.signal.aborted ? idle.signal.reason : error, this.#url);
    } finally {
      idle.stop();
    }
    if (this.#size < this.#expected.size)
      throw this.#client.failure(new Error(`${this.#size} of ${this.#expected.size} bytes came`), this.#url);
  }

  async #append(chunk: Uint8Array): Promise<void> {
    if (this.#size + chunk.length > this.#expected.size) {
      await this.#restart();
      throw new FlatrankError(
        'ERR_HUB',
        `Expected ${this.#expected.size} bytes of ${this.#expected.path} from ${this.#host} but more came`,
      );
    }
    await this.#writing(async () => {
      for (let at = 0; at < chunk.length;)
        at += (await this.#file.write(chunk, at, chunk.length - at, this.#size + at)).bytesWritten;
    });
    this.#count(chunk);
  }

  /** Takes note of bytes that are in the file. */
  #count(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#size += chunk.length;
    this.#onBytes(this.#size);
  }

  async #restart(): Promise<void> {
    await this.#writing(() => this.#file.truncate(0));
    this.#hash = this.#newHash();
    this.#size = 0;
    this.#adopted = false;
    this.#onBytes(0);
  }

  #newHash(): Hash {
    const { hash, size } = this.#expected;
    // Git's object id is the hash of a header and the content.
    return hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  }

  #isRight(): boolean {
    return this.#hash.copy().digest('hex') === this.#expected.hash;
  }

  get #host(): string {
    return new URL(this.#url).host;
  }

  async #writing(work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => {
      throw notWritable(this.path, error);
    });
  }
}

/** The largest of the files that are not empty. */
function largestOf(files: readonly Unfinished[]): Unfinished | undefined {
  return [...files].sort((a, b) => b.size - a.size).find(({ size }) => size > 0);
}

/** Opens the file at `from` and makes it this process's by renaming it; undefined where somebody else was faster. */
async function takeOver(from: string, to: string): Promise<FileHandle | undefined> {
  const file = await open(from, 'r+').catch(() => undefined);
  if (!file) return undefined;
  try {
    await file.utimes(new Date(), new Date()); // before others see it under its new name
    await rename(from, to);
    return file;
  } catch {
    await file.close();
    return undefined;
  }
}

/** Whether a partial answer begins at `offset`. */
function startsAt(response: Response, offset: number): boolean {
  return response.status === 206 && (response.headers.get('content-range') ?? '').startsWith(`bytes ${offset}-`);
}

/** Aborts its signal when nothing has happened for a while. */
class IdleTimer {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Error(`nothing came for ${ms / 1000} seconds`));
    }, ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  again(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
