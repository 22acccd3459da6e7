import { setImmediate as nextTurn } from 'node:timers/promises';
import { FlatrankError, checkInteger, checkOneOf, checkSignal } from '../errors.js';
import { rowsOf, type MatrixLike } from '../matrix.js';
import { native, runNative, type NativeFlatIndex, type NativeMetric } from '../native.js';
import { Calls, Turns } from '../runtime/calls.js';
import { threadBudget } from '../runtime/threads.js';

/** Options of {@link IndexFlatL2} and {@link IndexFlatIP}. */
export interface IndexFlatOptions {
  /** Where vectors live and are searched: `'cpu'`, the default. */
  device?: 'cpu' | 'cuda';
  /** Whether int8 codes may be kept beside the rows to search them faster; answers are the same. `'none'` saves memory. */
  codes?: 'int8' | 'none';
  /** The most threads one call uses; all that the process may use unless given. */
  threads?: number;
}

/** What {@link IndexFlatL2.search} takes besides queries and k. */
export interface SearchOptions {
  /** Stops the search, which then rejects with `signal.reason`. */
  signal?: AbortSignal;
}

/** The nearest rows of each query, row-major (nq · k). */
export interface SearchResult {
  /** Squared L2 distances, ascending, or inner products, descending; behind the last row ±Infinity. */
  distances: Float32Array;
  /** Row numbers in order of addition; behind the last row −1. */
  labels: Int32Array;
}

/** Rows copied at a time on the event loop's thread: a millisecond or so of work. */
const STAGE_BYTES = 4 << 20;

/**
 * What both flat indexes share. Exact: distances are sums over values widened to fp64 in one defined order, ordered by
 * that sum and then by the lower label, and reported rounded to fp32; answers depend neither on how many queries are
 * asked at once, nor on threads, nor on the instruction set.
 */
export abstract class IndexFlat {
  /** Values a vector has. */
  readonly dimension: number;

  readonly #index: NativeFlatIndex;
  readonly #calls: Calls;
  readonly #writers = new Turns();

  /** @internal */
  protected constructor(name: string, metric: NativeMetric, dimension: number, options: IndexFlatOptions) {
    checkInteger('dimension', dimension);
    if (checkOneOf('device', options.device ?? 'cpu', ['cpu', 'cuda']) === 'cuda')
      throw new FlatrankError('ERR_UNSUPPORTED', "Expected `device` to be 'cpu' in this build but received 'cuda'");
    checkOneOf('codes', options.codes ?? 'int8', ['int8', 'none']);
    const threads = Math.min(checkInteger('threads', options.threads ?? threadBudget()), threadBudget());
    this.dimension = dimension;
    this.#index = new (native().FlatIndex)(dimension, metric, threads);
    this.#calls = new Calls(name);
  }

  /**
   * How many rows a search sees.
   * @throws FlatrankError `ERR_DISPOSED`
   */
  get ntotal(): number {
    return this.#index.ntotal;
  }

  /**
   * Bytes held for rows, capacity for further ones included.
   * @throws FlatrankError `ERR_DISPOSED`
   */
  get memoryBytes(): number {
    return this.#index.memoryBytes;
  }

  /**
   * Appends rows, all of them or, where it rejects, none. Searches called after it resolved see them. Rows are read
   * until then, a few megabytes at a time, so `x` must not be changed or detached before.
   * @param x (n, dimension)
   * @throws FlatrankError `ERR_DIMENSION`, `ERR_NON_FINITE` for NaN or infinite values, `ERR_CAPACITY` for the 2^31st
   *   row, `ERR_OUT_OF_MEMORY`, `ERR_DISPOSED`; `signal.reason` where aborted
   */
  add(x: MatrixLike, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#calls.run(async () => {
      const signal = checkSignal(options.signal);
      const { data, rows } = rowsOf('x', x, this.dimension);
      await this.#writers.take(signal, async () => {
        try {
          await this.#stage(data, rows * this.dimension, signal);
          await runNative(signal, (cancellation) => this.#index.commit(cancellation));
        } catch (error) {
          this.#index.rollback();
          throw error;
        }
      });
    });
  }

  async #stage(data: Float32Array, length: number, signal: AbortSignal | undefined): Promise<void> {
    const step = Math.max(1, Math.floor(STAGE_BYTES / 4 / this.dimension)) * this.dimension;
    for (let start = 0; start < length; start += step) {
      if (start > 0) await nextTurn();
      signal?.throwIfAborted();
      if (data.length !== length)
        throw new FlatrankError('ERR_INVALID_ARGUMENT', 'Expected `x` not to be detached while it is added');
      this.#index.stage(data.subarray(start, Math.min(start + step, length)));
    }
  }

  /**
   * The k nearest rows of each query. Queries are copied before the call returns.
   * @param queries (nq, dimension)
   * @param k how many; where the index has fewer rows, the rest is label −1 and distance ±Infinity
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_DIMENSION`, `ERR_NON_FINITE`, `ERR_OUT_OF_MEMORY`,
   *   `ERR_DISPOSED`; `signal.reason` where aborted
   */
  search(queries: MatrixLike, k: number, options: SearchOptions = {}): Promise<SearchResult> {
    return this.#calls.run(async () => {
      const signal = checkSignal(options.signal);
      if ('selector' in options && options.selector !== undefined)
        throw new FlatrankError('ERR_UNSUPPORTED', 'Expected no `selector`: this version searches all rows');
      const { data } = rowsOf('queries', queries, this.dimension);
      checkInteger('k', k);
      return await runNative(signal, (cancellation) => this.#index.search(data, k, cancellation));
    });
  }

  /**
   * A copy of row `i`, as it was added.
   * @throws FlatrankError `ERR_INVALID_ARGUMENT` for a row that is not there, `ERR_DISPOSED`
   */
  reconstruct(i: number): Float32Array {
    return this.#index.reconstruct(checkInteger('i', i, 0));
  }

  /**
   * Forgets every row, after additions called before it.
   * @throws FlatrankError `ERR_DISPOSED`
   */
  reset(): Promise<void> {
    return this.#calls.run(() =>
      this.#writers.take(undefined, () => {
        this.#index.reset();
        return Promise.resolve();
      }),
    );
  }

  /** Frees the rows. Calls under way finish first, later ones reject with `ERR_DISPOSED`. Idempotent. */
  dispose(): Promise<void> {
    return this.#calls.dispose(() => {
      this.#index.dispose();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/**
 * Exact search by squared Euclidean distance, as faiss IndexFlatL2. Nearest first.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` for a dimension that is not an integer from 1 to 65536
 */
export class IndexFlatL2 extends IndexFlat {
  constructor(dimension: number, options: IndexFlatOptions = {}) {
    super('IndexFlatL2', 'l2', dimension, options);
  }
}

/**
 * Exact search by inner product, as faiss IndexFlatIP. Largest first; on normalised vectors that is cosine similarity.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` for a dimension that is not an integer from 1 to 65536
 */
export class IndexFlatIP extends IndexFlat {
  constructor(dimension: number, options: IndexFlatOptions = {}) {
    super('IndexFlatIP', 'ip', dimension, options);
  }
}
