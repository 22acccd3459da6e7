/**
 * Download of one blob: into a file of its own beside the place, resumed where a connection breaks, checked by size and
 * hash, then renamed. Two processes (of any library that keeps this layout) may do so at once: names of unfinished
 * files are unique, and a finished one appears whole.
 *
 * The Hub's own JavaScript library neither resumes nor checks hashes and lets two downloads write the same file, so this
 * part is ours.
 */
import { createHash, randomBytes, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FlatrankError } from '../errors.js';
import { notWritable, sizeOf, type RepoFile } from './cache.js';
import { RefusedError, type HubClient } from './http.js';

/** An unfinished file that nobody has written to for so long is abandoned. Its writer touches it far more often. */
const abandonedMs = 15_000;
const touchMs = 3_000;

/** How often to look whether somebody else's download of the same blob has ended. */
const watchMs = 200;

/** Called with the bytes of the blob that are there; the number falls where a download starts again. */
export type OnBytes = (bytes: number) => void;

/**
 * Brings the blob of `file` to `path`, from `url`.
 * @throws FlatrankError `ERR_HUB` where the transfer fails or what comes is not what was promised; what was received stays
 *   for the next time
 */
export async function downloadBlob(
  client: HubClient,
  url: string,
  file: RepoFile,
  path: string,
  onBytes: OnBytes,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
    throw notWritable(path, error);
  });
  while ((await sizeOf(path)) !== file.size) {
    if ((await unfinished(path)).some(({ abandoned }) => !abandoned)) {
      await client.pause(watchMs);
      continue;
    }
    const download = await BlobDownload.begin(client, url, file, path, onBytes);
    const others = await unfinished(path);
    // Of two that begin in the same moment one steps back.
    if (others.some((other) => !other.abandoned && other.path < download.path)) await download.discard();
    else await download.run(others.filter(({ abandoned }) => abandoned));
  }
  onBytes(file.size);
}

interface Unfinished {
  readonly path: string;
  readonly size: number;
  readonly abandoned: boolean;
}

/** The unfinished files of a blob: `HASH.RANDOM.incomplete`. */
async function unfinished(blob: string): Promise<Unfinished[]> {
  const [folder, prefix] = [dirname(blob), `${basename(blob)}.`];
  const names = (await readdir(folder)).filter((name) => name.startsWith(prefix) && name.endsWith('.incomplete'));
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const stats = await stat(path).catch(() => undefined); // finished in the meantime
      return stats && { path, size: stats.size, abandoned: Date.now() - stats.mtimeMs > abandonedMs };
    }),
  );
  return found.filter((entry) => entry !== undefined);
}

class BlobDownload {
  readonly #client: HubClient;
  readonly #url: string;
  readonly #expected: RepoFile;
  readonly #blob: string;
  /** The unfinished file. */
  readonly path: string;
  readonly #file: FileHandle;
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
    onBytes: OnBytes,
  ) {
    this.#client = client;
    this.#url = url;
    this.#expected = expected;
    this.#blob = blob;
    this.path = path;
    this.#file = file;
    this.#onBytes = onBytes;
    this.#hash = this.#newHash();
  }

  static async begin(
    client: HubClient,
    url: string,
    expected: RepoFile,
    blob: string,
    onBytes: OnBytes,
  ): Promise<BlobDownload> {
    const path = `${blob}.${randomBytes(4).toString('hex')}.incomplete`;
    try {
      return new BlobDownload(client, url, expected, blob, path, await open(path, 'wx'), onBytes);
    } catch (error) {
      throw notWritable(path, error);
    }
  }

  /** Downloads the blob, going on from the largest of the abandoned files `earlier`. */
  async run(earlier: readonly Unfinished[]): Promise<void> {
    const touch = setInterval(() => void utimes(this.path, new Date(), new Date()).catch(() => undefined), touchMs);
    try {
      await this.#adopt(earlier);
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
      await this.#writing(async () => {
        await this.#file.sync();
        await this.#file.close();
        await rename(this.path, this.#blob);
      });
    } catch (error) {
      if (this.#size === 0) await this.discard();
      else {
        await this.#file.close().catch(() => undefined);
        // Free for whoever comes next: its time says that nobody writes to it.
        await utimes(this.path, 0, 0).catch(() => undefined);
      }
      throw error;
    } finally {
      clearInterval(touch);
    }
  }

  /** Leaves nothing of this download. */
  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }

  /** Copies what is abandoned and does not go on in it: whoever began it may not be dead after all, and write. */
  async #adopt(earlier: readonly Unfinished[]): Promise<void> {
    const largest = [...earlier].sort((a, b) => b.size - a.size)[0];
    try {
      if (largest && largest.size > 0)
        for await (const chunk of createReadStream(largest.path, { end: this.#expected.size - 1 }))
          await this.#append(chunk as Buffer);
      this.#adopted = this.#size > 0;
    } catch (error) {
      if (error instanceof FlatrankError) throw error;
      await this.#restart(); // gone or unreadable: then from the start
    }
    for (const { path } of earlier) await rm(path, { force: true });
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
