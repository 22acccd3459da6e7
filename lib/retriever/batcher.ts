import { abortable } from '../runtime/calls.js';

interface Waiting<T, R> {
  readonly item: T;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Does work that is cheaper together: what is asked for at once, or while earlier work runs, is done in one go. Nobody
 * waits on purpose: work begins as soon as there is any and none runs.
 */
export class Batcher<T, R> {
  readonly #run: (items: readonly T[], signal: AbortSignal | undefined) => Promise<R[]>;
  readonly #most: number;
  #waiting: Waiting<T, R>[] = [];
  #running = false;

  /**
   * @param run does a batch; what it rejects with is tried again one by one, so that nobody gets another's error
   * @param most items of a batch
   */
  constructor(run: (items: readonly T[], signal: AbortSignal | undefined) => Promise<R[]>, most: number) {
    this.#run = run;
    this.#most = most;
  }

  /** The result for `item`; an abort rejects at once with `signal.reason`. */
  do(item: T, signal: AbortSignal | undefined): Promise<R> {
    const result = new Promise<R>((resolve, reject) => {
      this.#waiting.push({ item, signal, resolve, reject });
    });
    if (!this.#running) {
      this.#running = true;
      queueMicrotask(() => void this.#work());
    }
    return abortable(signal, result);
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#most).filter(({ signal }) => !signal?.aborted);
      if (batch.length > 0) await this.#doBatch(batch);
    }
    this.#running = false;
  }

  async #doBatch(batch: readonly Waiting<T, R>[]): Promise<void> {
    const all = new AbortController();
    let left = batch.length;
    const onAbort = (): void => {
      if (--left === 0) all.abort(); // nobody is interested any more
    };
    for (const { signal } of batch) signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const results = await this.#run(
        batch.map(({ item }) => item),
        all.signal,
      );
      for (const [i, { resolve }] of batch.entries()) resolve(results[i]!);
    } catch (error) {
      if (batch.length === 1) batch[0]!.reject(error);
      else for (const one of batch) if (!one.signal?.aborted) await this.#doBatch([one]);
    } finally {
      for (const { signal } of batch) signal?.removeEventListener('abort', onAbort);
    }
  }
}
