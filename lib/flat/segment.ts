import { setImmediate as nextTurn } from 'node:timers/promises';
import { Matrix } from '../matrix.js';
import { native, runNative, type NativeFlatIndex, type NativeMetric } from '../native.js';
import { threadBudget } from '../runtime/threads.js';
import type { SearchResult } from './types.js';

/** Rows copied at a time on the event loop's thread: a millisecond or so of work. */
const stageBytes = 4 << 20;

/**
 * Rows that are searched together with those of other segments, as one index. One transaction of `stage`, `stage`, …,
 * `commit` or `rollback` at a time.
 */
export class FlatSegment {
  readonly #index: NativeFlatIndex;
  readonly #dimension: number;

  constructor(dimension: number, metric: NativeMetric) {
    this.#dimension = dimension;
    this.#index = new (native().FlatIndex)(dimension, metric, threadBudget(), true);
  }

  /** Rows that are committed. */
  get rows(): number {
    return this.#index.ntotal;
  }

  /** Copies rows (n, dimension) behind the last ones, not yet visible. */
  async stage({ data }: Pick<Matrix, 'data'>): Promise<void> {
    const step = Math.max(1, Math.floor(stageBytes / 4 / this.#dimension)) * this.#dimension;
    for (let start = 0; start < data.length; start += step) {
      if (start > 0) await nextTurn();
      this.#index.stage(data.subarray(start, start + step));
    }
  }

  /**
   * Stages rows that lie in a file at `offset`, little-endian; they are mapped, and read when they are needed.
   * @param prepared a file of what {@link prepared} gave for these rows: without it `commit` reads all of them
   * @param codeRows a file of what {@link codeRows} gave for them: without it a search that looks at few rows reads them whole
   * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` where a file ends before
   */
  map(path: string, offset: number, rows: number, prepared?: string, codeRows?: string): void {
    this.#index.stageMapped(path, offset, rows, prepared, codeRows);
  }

  /**
   * The CRC-32 (n) of each row that was mapped, and of its codes where they were mapped row by row: a search that meets another
   * rejects with `ERR_BAD_FILE`.
   */
  expect(checksums: Uint32Array, codeRows?: Uint32Array): void {
    this.#index.expectChecksums(checksums, codeRows);
  }

  /** Norms and codes of the committed rows, for a file; empty where rows are too few, or too short, to have codes. */
  prepared(): Promise<Uint8Array> {
    return this.#index.prepared();
  }

  /** The codes row by row, for a file; empty where {@link prepared} is. */
  codeRows(): Promise<Uint8Array> {
    return this.#index.codeRows();
  }

  /** Bytes of a row there. */
  get codeRowBytes(): number {
    return this.#index.codeRowBytes;
  }

  /** Makes the staged rows visible. @throws FlatrankError `ERR_NON_FINITE`; `signal.reason` where aborted */
  async commit(signal: AbortSignal | undefined): Promise<void> {
    await runNative(signal, (cancellation) => this.#index.commit(cancellation));
  }

  /** Forgets the staged rows. */
  rollback(): void {
    this.#index.rollback();
  }

  /** A copy of rows [begin, end), (end - begin, dimension). */
  read(begin: number, end: number): Matrix {
    return new Matrix(this.#index.rows(begin, end - begin), end - begin, this.#dimension);
  }

  /** Frees the rows; searches that run have them still. */
  dispose(): void {
    this.#index.dispose();
  }

  /** @internal */
  get handle(): NativeFlatIndex {
    return this.#index;
  }
}

/** What a search looks at of one segment. */
export interface SegmentPart {
  readonly segment: FlatSegment;
  /** Its first rows, so many. */
  readonly rows: number;
  /** Which of them: row i is bit i & 7 of byte i >> 3; all unless given. */
  readonly selected?: Uint8Array | undefined;
}

/**
 * The k nearest rows of each query over all parts, exactly as one index of all their rows would give them. Labels count
 * through the parts in their order.
 */
export async function searchSegments(
  parts: readonly SegmentPart[],
  queries: Matrix,
  k: number,
  signal: AbortSignal | undefined,
): Promise<SearchResult> {
  return runNative(signal, (cancellation) =>
    native().searchTogether(
      parts.map(({ segment }) => segment.handle),
      Int32Array.from(parts, ({ rows }) => rows),
      parts.map(({ selected }) => selected),
      queries.data,
      k,
      threadBudget(),
      cancellation,
    ),
  );
}
