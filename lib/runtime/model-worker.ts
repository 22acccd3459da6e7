/** The owner's side of a model in a worker thread: calls, progress, abort, lifetime. */
import type { Worker } from 'node:worker_threads';
import { FlatrankError } from '../errors.js';
import { notify, type OnProgress } from './progress.js';
import { fromWireError, withSite, type Reply, type Request } from './protocol.js';
import { startWorker } from './undisturbed.js';

/** Texts go to the worker in slices of about this many characters, so that neither thread stops for long. */
const sliceChars = 1_000_000;
const sliceTexts = 16_384;

/** What a call takes besides its texts. */
export interface CallOptions {
  /** Units that progress counts; the number of texts unless given. */
  readonly total?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  readonly site: Error;
  readonly onProgress: OnProgress | undefined;
}

/**
 * One worker thread that holds one model. The thread keeps the process alive while calls run and not otherwise, so a
 * script that forgets {@link dispose} still exits.
 */
export class ModelWorker<Info> {
  readonly info: Info;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  #gone: FlatrankError | undefined;
  #disposing: Promise<void> | undefined;
  #idle: (() => void)[] = [];

  private constructor(worker: Worker, info: Info) {
    this.#worker = worker;
    this.info = info;
    this.#exited = new Promise((resolve) =>
      worker.once('exit', () => {
        resolve();
      }),
    );
    worker.on('message', (reply: Reply) => {
      this.#receive(reply);
    });
    worker.on('error', (error) => {
      this.#fail(`The model's worker thread failed: ${error instanceof Error ? error.message : String(error)}`);
    });
    worker.on('exit', (status) => {
      this.#fail(`The model's worker thread stopped unexpectedly with exit status ${status}`);
    });
    worker.unref();
  }

  /**
   * Starts a thread on the module `entry`, which must call `serve` on its parent port, and waits until it has opened
   * its model. `spec` reaches it by `workerSpec`.
   * @throws FlatrankError with the code of whatever went wrong in the thread; an abort rejects with `signal.reason`
   */
  static async open<Info>(entry: URL, spec: unknown, signal?: AbortSignal): Promise<ModelWorker<Info>> {
    const site = new Error();
    signal?.throwIfAborted();
    const worker = startWorker(entry, spec, 'flatrank-model');
    let onAbort: (() => void) | undefined;
    try {
      const info = await new Promise<Info>((resolve, reject) => {
        onAbort = (): void => {
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        worker.once('message', (reply: Reply) => {
          if (reply.type === 'opened') resolve(reply.info as Info);
          else if (reply.type === 'failed') reject(fromWireError(reply.error, site));
        });
        worker.once('error', (error) => {
          const text = error instanceof Error ? error.message : String(error);
          reject(withSite(new FlatrankError('ERR_WORKER', `The model's worker thread failed: ${text}`), site));
        });
        worker.once('exit', (status) => {
          const text = `The model's worker thread stopped with exit status ${status} before it had opened the model`;
          reject(withSite(new FlatrankError('ERR_WORKER', text), site));
        });
      });
      return new ModelWorker(worker, info);
    } catch (error) {
      worker.on('error', () => undefined);
      worker.unref();
      const request: Request = { type: 'close' };
      worker.postMessage(request);
      throw error;
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Runs a job of the worker over `texts` and resolves to its result.
   * @throws FlatrankError `ERR_DISPOSED` after {@link dispose}, `ERR_WORKER` where the thread died, else the job's own;
   *   an abort rejects at once with `signal.reason`
   */
  async call<T>(job: string, options: unknown, texts: readonly string[], o: CallOptions = {}): Promise<T> {
    const site = new Error();
    o.signal?.throwIfAborted();
    if (this.#disposing) throw new FlatrankError('ERR_DISPOSED', 'Expected a model in use but this one was disposed');
    if (this.#gone) throw withSite(new FlatrankError(this.#gone.code, this.#gone.message), site);
    const id = ++this.#lastId;
    let onAbort: (() => void) | undefined;
    if (this.#pending.size === 0) this.#worker.ref();
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#pending.set(id, {
          resolve: (value) => {
            resolve(value as T);
          },
          reject,
          site,
          onProgress: o.onProgress,
        });
        onAbort = (): void => {
          this.#post({ type: 'abort', id });
          reject(o.signal?.reason);
        };
        o.signal?.addEventListener('abort', onAbort, { once: true });
        const total = o.total ?? texts.length;
        this.#post({ type: 'start', id, job, options, total, progress: o.onProgress !== undefined });
        this.#send(id, texts).catch(reject);
      });
    } finally {
      if (onAbort) o.signal?.removeEventListener('abort', onAbort);
      this.#pending.delete(id);
      if (this.#pending.size === 0) {
        this.#worker.unref();
        for (const resolve of this.#idle.splice(0)) resolve();
      }
    }
  }

  /** Lets running calls finish, frees the model and ends the thread. Calling it again waits for the same end. */
  dispose(): Promise<void> {
    this.#disposing ??= (async () => {
      if (this.#pending.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
      if (this.#gone) return;
      this.#worker.ref();
      this.#post({ type: 'close' });
      await this.#exited;
    })();
    return this.#disposing;
  }

  /** Sends texts slice by slice; the event loop turns between two slices. */
  async #send(id: number, texts: readonly string[]): Promise<void> {
    let from = 0;
    do {
      let to = from;
      for (let chars = 0; to < texts.length && to - from < sliceTexts && chars < sliceChars; to++)
        chars += texts[to]!.length;
      this.#post({ type: 'texts', id, texts: texts.slice(from, to), last: to === texts.length });
      from = to;
      if (from < texts.length) await new Promise((resolve) => setImmediate(resolve));
    } while (from < texts.length && this.#pending.has(id));
  }

  #post(request: Request): void {
    this.#worker.postMessage(request);
  }

  #receive(reply: Reply): void {
    if (!('id' in reply)) return;
    const pending = this.#pending.get(reply.id); // none: the call was aborted
    if (reply.type === 'progress') notify(pending?.onProgress, { done: reply.done, total: reply.total });
    else if (reply.type === 'result') pending?.resolve(reply.value);
    else pending?.reject(fromWireError(reply.error, pending.site));
  }

  #fail(message: string): void {
    this.#gone ??= new FlatrankError('ERR_WORKER', message);
    for (const { reject, site } of this.#pending.values())
      reject(withSite(new FlatrankError('ERR_WORKER', this.#gone.message), site));
  }
}
