import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  FlatrankError,
  checkBoolean,
  checkInteger,
  checkObject,
  checkOneOf,
  checkSignal,
  checkString,
  invalidArgument,
} from '../errors.js';
import { faissHeaderBytes } from '../formats/faiss.js';
import { rowsOf, type MatrixLike } from '../matrix.js';
import { native, runNative, type NativeFlatIndex, type NativeMetric } from '../native.js';
import { Calls, Turns } from '../runtime/calls.js';
import { threadBudget } from '../runtime/threads.js';
import { CHUNK_BYTES, IndexFile, writeIndexFile } from './index-file.js';
import { checkSelector, labelsBelow, type IDSelector } from './selectors.js';
import type { IndexFlatOptions, RangeSearchResult, ReadOptions, SearchOptions, SearchResult } from './types.js';

/**
 * What both flat indexes share. Exact: distances are sums over values widened to fp64 in one defined order, ordered by
 * that sum and then by the lower label, and reported rounded to fp32; answers depend neither on how many queries are
 * asked at once, nor on threads, nor on the instruction set.
 */
export abstract class IndexFlat {
  /** Values a vector has. */
  readonly dimension: number;

  readonly #metric: NativeMetric;
  readonly #index: NativeFlatIndex;
  readonly #calls: Calls;
  readonly #writers = new Turns();

  /** @internal */
  protected constructor(name: string, metric: NativeMetric, dimension: number, options: IndexFlatOptions) {
    checkInteger('dimension', dimension);
    const device = checkOneOf('device', checkObject('options', options).device ?? 'cpu', ['cpu', 'cuda']);
    const codes = checkOneOf('codes', options.codes ?? 'int8', ['int8', 'none']);
    const threads = Math.min(checkInteger('threads', options.threads ?? threadBudget()), threadBudget());
    this.dimension = dimension;
    this.#metric = metric;
    this.#index = new (native().FlatIndex)(dimension, metric, threads, codes === 'int8', device === 'cuda');
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
   * Bytes held for rows and codes, capacity for further ones included; rows that are mapped from a file are not counted.
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
      const signal = checkSignal(checkObject('options', options).signal);
      const { data, rows } = rowsOf('x', x, this.dimension);
      await this.#append(signal, () => this.#stage(data, rows * this.dimension, signal));
    });
  }

  /**
   * Appends rows that lie in a file, without reading them into memory: see {@link ReadOptions.mmap}.
   * @param offset bytes before the first row; rows are 32-bit little-endian floats, row-major
   * @throws FlatrankError as {@link add}, and `ERR_NOT_FOUND`, `ERR_BAD_FILE` where the file ends before its last row
   * @internal
   */
  addMapped(path: string, offset: number, rows: number, signal?: AbortSignal): Promise<void> {
    return this.#calls.run(() =>
      this.#append(signal, () => {
        this.#index.stageMapped(path, offset, rows);
      }),
    );
  }

  /** Appends what `stage` stages, or nothing. */
  async #append(signal: AbortSignal | undefined, stage: () => void | Promise<void>): Promise<void> {
    await this.#writers.take(signal, async () => {
      try {
        await stage();
        await runNative(signal, (cancellation) => this.#index.commit(cancellation));
      } catch (error) {
        this.#index.rollback();
        throw error;
      }
    });
  }

  async #stage(data: Float32Array, length: number, signal: AbortSignal | undefined): Promise<void> {
    const step = Math.max(1, Math.floor(CHUNK_BYTES / 4 / this.dimension)) * this.dimension;
    for (let start = 0; start < length; start += step) {
      if (start > 0) await nextTurn();
      signal?.throwIfAborted();
      if (data.length !== length)
        throw new FlatrankError('ERR_INVALID_ARGUMENT', 'Expected `x` not to be detached while it is added');
      const end = Math.min(start + step, length);
      this.#index.stage(data.subarray(start, end), (length - end) / this.dimension);
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
      const signal = checkSignal(checkObject('options', options).signal);
      const { data } = rowsOf('queries', queries, this.dimension);
      checkInteger('k', k);
      const selection = this.#selection(options.selector);
      return await runNative(signal, (cancellation) => this.#index.search(data, k, selection, cancellation));
    });
  }

  /**
   * Every row whose squared distance to a query is below `radius`, or whose inner product with it is above, as faiss
   * `range_search`. Queries are copied before the call returns.
   * @param queries (nq, dimension)
   * @throws FlatrankError as {@link search}
   */
  rangeSearch(queries: MatrixLike, radius: number, options: SearchOptions = {}): Promise<RangeSearchResult> {
    return this.#calls.run(async () => {
      const signal = checkSignal(checkObject('options', options).signal);
      const { data } = rowsOf('queries', queries, this.dimension);
      if (typeof radius !== 'number' || Number.isNaN(radius)) throw invalidArgument('radius', 'a number', radius);
      const selection = this.#selection(options.selector);
      return await runNative(signal, (cancellation) => this.#index.rangeSearch(data, radius, selection, cancellation));
    });
  }

  #selection(selector: IDSelector | undefined): Uint8Array | undefined {
    if (selector === undefined) return undefined;
    // Rows that are added before the search begins are none of the selector's: it sees all of an addition, or nothing.
    return labelsBelow(this.#index.ntotal, checkSelector('selector', selector));
  }

  /**
   * A copy of row `i`, as it was added.
   * @throws FlatrankError `ERR_INVALID_ARGUMENT` for a row that is not there, `ERR_DISPOSED`
   */
  reconstruct(i: number): Float32Array {
    checkInteger('i', i, 0);
    if (i >= this.ntotal) throw invalidArgument('i', `a row below ${this.ntotal}`, i);
    return this.#index.rows(i, 1);
  }

  /**
   * Removes the selected rows, after additions called before it. As in faiss, the rows behind them move up: labels stay
   * the numbers 0 to ntotal − 1 in order of addition. Searches that run keep what they saw.
   * @returns how many rows were removed
   * @throws FlatrankError `ERR_INVALID_ARGUMENT` for what is no selector, `ERR_OUT_OF_MEMORY`, `ERR_DISPOSED`;
   *   `signal.reason` where aborted, and then nothing is removed
   */
  removeIds(selector: IDSelector, options: { signal?: AbortSignal } = {}): Promise<number> {
    return this.#calls.run(async () => {
      const signal = checkSignal(checkObject('options', options).signal);
      checkSelector('selector', selector);
      return this.#writers.take(signal, () => {
        const labels = labelsBelow(this.#index.ntotal, selector);
        return runNative(signal, (cancellation) => this.#index.remove(labels, cancellation));
      });
    });
  }

  /**
   * Writes the rows, after additions called before it, as a file that faiss's `read_index` reads too. The file appears
   * whole or not at all; later changes wait until it is written.
   * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be written, `ERR_DISPOSED`; `signal.reason` where aborted
   */
  write(path: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#calls.run(async () => {
      const signal = checkSignal(checkObject('options', options).signal);
      checkString('path', path);
      await this.#writers.take(signal, () =>
        writeIndexFile(
          path,
          { metric: this.#metric, dimension: this.dimension, rows: this.#index.ntotal },
          (begin, count) => this.#index.rows(begin, count),
          signal,
        ),
      );
    });
  }

  /** Reads an index file into the index that `make` makes for its dimension. @internal */
  protected static async readInto<T extends IndexFlat>(
    path: string,
    options: ReadOptions,
    metric: NativeMetric,
    make: (dimension: number) => T,
  ): Promise<T> {
    const signal = checkSignal(checkObject('options', options).signal);
    const mmap = checkBoolean('mmap', options.mmap ?? false);
    const file = await IndexFile.open(checkString('path', path));
    try {
      const { header } = file;
      if (header.metric !== metric)
        throw new FlatrankError(
          'ERR_BAD_FILE',
          `Expected ${path} to hold an index by ${metric === 'l2' ? 'L2 distance' : 'inner product'} but it is one by ` +
            (header.metric === 'l2' ? 'L2 distance' : 'inner product'),
        );
      const index = make(header.dimension);
      try {
        if (mmap) await index.addMapped(path, faissHeaderBytes, header.rows, signal);
        else
          await index.#append(signal, () =>
            file.readRows((rows, more) => {
              index.#index.stage(rows, more);
            }, signal),
          );
      } catch (error) {
        await index.dispose();
        throw nonFiniteFile(path, error);
      }
      return index;
    } finally {
      await file.close();
    }
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

  /**
   * Opens a file that {@link IndexFlat.write} or faiss (`IndexFlatL2`, `IxF2`) wrote.
   * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be read, `ERR_BAD_FILE` where it is damaged, cut short, has more
   *   than its rows, holds NaN or infinite values, or is no such index; `signal.reason` where aborted
   */
  static read(path: string, options: ReadOptions = {}): Promise<IndexFlatL2> {
    return IndexFlat.readInto(path, options, 'l2', (dimension) => new IndexFlatL2(dimension, options));
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

  /**
   * Opens a file that {@link IndexFlat.write} or faiss (`IndexFlatIP`, `IxFI`) wrote.
   * @throws FlatrankError as {@link IndexFlatL2.read}
   */
  static read(path: string, options: ReadOptions = {}): Promise<IndexFlatIP> {
    return IndexFlat.readInto(path, options, 'ip', (dimension) => new IndexFlatIP(dimension, options));
  }
}

/** A file's rows are no argument of the caller's. */
function nonFiniteFile(path: string, error: unknown): unknown {
  if (!(error instanceof FlatrankError) || error.code !== 'ERR_NON_FINITE') return error;
  return new FlatrankError('ERR_BAD_FILE', error.message.replace('`x`', path), { cause: error });
}
