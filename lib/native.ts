/**
 * The only file that loads the native addon, and its types. Nothing here checks meaning: callers have done so, and C++
 * checks again whatever guards memory.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { FlatrankError, type FlatrankErrorCode } from './errors.js';

/** Stops the native jobs it was handed to, soon after `cancel()`; they reject with `ERR_CANCELLED`. */
export interface NativeCancellation {
  cancel(): void;
}

/** How distances of an index are defined: squared L2 (ascending) or inner product (descending). */
export type NativeMetric = 'l2' | 'ip';

/** How token vectors of one text become one vector. */
export type PoolingMode = 'mean' | 'cls' | 'max' | 'mean_sqrt_len';

/**
 * native/index: append-only blocks of fp32 rows. One change at a time: a transaction of stage, stage, …, commit or
 * rollback, or a removal. A `selection` is a bitmap: bit i % 8 of byte i / 8 stands for row i, rows behind its end are out.
 */
export interface NativeFlatIndex {
  /** Rows that searches see. */
  readonly ntotal: number;
  /**
   * Copies rows (n · dimension) behind the last row, not yet visible. Synchronous: a memory copy. `more` rows will follow
   * before the commit: room is made for them at once.
   */
  stage(rows: Float32Array, more?: number): void;
  /**
   * Stages `rows` rows of 32-bit floats, row-major, that lie in a file `offset` bytes from its start (best a multiple of
   * 64), without reading them into memory: they are mapped, and the file must neither shrink nor change from now on.
   */
  stageMapped(path: string, offset: number, rows: number, prepared?: string, codeRows?: string): void;
  /**
   * The CRC-32 of each row that was mapped last, and of each of its `codeRows`, before its commit: rows are held against them
   * when they are first read.
   */
  expectChecksums(checksums: Uint32Array, codeRows?: Uint32Array): void;
  /**
   * What a commit worked out about the rows of an index of one block, for a file that `stageMapped` takes as `prepared`: then
   * its commit does not read the rows. Empty where there is nothing worth a file.
   */
  prepared(): Promise<Uint8Array>;
  /**
   * The codes among that once more, row by row, for a file that `stageMapped` takes as `codeRows`: then a search that looks at few
   * rows reads only theirs.
   */
  codeRows(): Promise<Uint8Array>;
  /** Bytes of a row there. */
  readonly codeRowBytes: number;
  /** Checks, measures and codes the staged rows on the thread pool, then makes all of them visible at once. */
  commit(cancellation?: NativeCancellation): Promise<number>;
  /** Forgets the staged rows. */
  rollback(): void;
  /** Removes the selected rows; those behind them move up. Resolves with how many. */
  remove(selection: Uint8Array, cancellation?: NativeCancellation): Promise<number>;
  /** Exact top k of each query; `queries` (nq · dimension) and `selection` are copied before the call returns. */
  search(
    queries: Float32Array,
    k: number,
    selection?: Uint8Array,
    cancellation?: NativeCancellation,
  ): Promise<{ distances: Float32Array; labels: Int32Array }>;
  /** All rows nearer than `radius`; those of query j, nearest first, at [limits[j], limits[j + 1]). */
  rangeSearch(
    queries: Float32Array,
    radius: number,
    selection?: Uint8Array,
    cancellation?: NativeCancellation,
  ): Promise<{ limits: Uint32Array; distances: Float32Array; labels: Int32Array }>;
  /** A copy of rows [begin, begin + count). */
  rows(begin: number, count: number): Float32Array;
  /** Forgets every row; searches that run keep what they saw. */
  reset(): void;
  /** Bytes held for rows and what belongs to them. */
  readonly memoryBytes: number;
  /** Frees the rows. The caller has waited for its own calls. */
  dispose(): void;
}

interface NativeBinding {
  /** Raised errors are instances of this class from now on, in this thread. */
  setErrorClass(errorClass: typeof FlatrankError): void;
  /** The instruction set chosen: 'scalar', 'avx2', 'avx512' or 'neon'. */
  readonly isa: string;
  /** Processors this process may use: affinity and the container's CPU limit together. */
  readonly cpuLimit: number;
  /** Threads of the native pool, the caller of a job included. */
  readonly poolThreads: number;
  Cancellation: new () => NativeCancellation;
  /** `cuda`: searches run on the GPU; codes are kept then, whatever `coded` says. */
  FlatIndex: new (
    dimension: number,
    metric: NativeMetric,
    threads: number,
    coded: boolean,
    cuda?: boolean,
  ) => NativeFlatIndex;
  /**
   * Pools token vectors. Text i has `lengths[i]` rows of `hidden`, from row `offsets[i]` on.
   * @param hidden (rows · dimension), read in place: it must not change or be detached before the promise settles
   * @returns (n · dimension)
   */
  pool(
    hidden: Float32Array,
    offsets: Int32Array,
    lengths: Int32Array,
    dimension: number,
    mode: PoolingMode,
    normalize: boolean,
    cancellation?: NativeCancellation,
  ): Promise<Float32Array>;
  /**
   * Merges the top-k lists of shards, each (nq · shardK) padded with label −1, into (nq · k).
   * `labelOffsets[s]` is added to the labels of shard s.
   */
  mergeShards(
    distances: readonly Float32Array[],
    labels: readonly Int32Array[],
    labelOffsets: Int32Array,
    nq: number,
    k: number,
    descending: boolean,
    cancellation?: NativeCancellation,
  ): Promise<{ distances: Float32Array; labels: Int32Array }>;
  /**
   * Orders the candidates of each query by relevance, best first, and cuts them to k. Query i has the candidates
   * `offsets[i] .. offsets[i + 1]`. An id given twice counts once, with its best score; equal scores take the lower id.
   * @returns (nq · k), padded with label −1 and score −Infinity
   */
  mergeRerank(
    labels: Int32Array,
    scores: Float32Array,
    offsets: Int32Array,
    k: number,
    cancellation?: NativeCancellation,
  ): Promise<{ scores: Float32Array; labels: Int32Array }>;
  /**
   * Searches the first `rows[i]` rows of each index, and of those the ones in `selections[i]` (undefined: all), as one index of
   * all of them: labels count through them. All arguments are copied before the call returns.
   */
  searchTogether(
    indexes: readonly NativeFlatIndex[],
    rows: Int32Array,
    selections: readonly (Uint8Array | undefined)[],
    queries: Float32Array,
    k: number,
    threads: number,
    cancellation?: NativeCancellation,
  ): Promise<{ distances: Float32Array; labels: Int32Array }>;
  /**
   * Locks an open file for this descriptor alone, until it is closed or the process ends, however it ends.
   * @returns false where another descriptor has the lock
   */
  tryLock(fd: number): boolean;
  /**
   * One step of AdamW as torch.optim.AdamW defines it, in place over fp32 tensors of equal sizes in the four lists.
   * `decayed` (one a tensor) says which shrink by learningRate · weightDecay. Nobody else may touch or detach the buffers
   * before the promise settles; the same holds for the four functions below.
   * @param step from 1
   * @param gradientScale gradients count times this (clipping); the buffers stay as they are
   */
  adamw(
    parameters: readonly Float32Array[],
    gradients: readonly Float32Array[],
    firstMoments: readonly Float32Array[],
    secondMoments: readonly Float32Array[],
    decayed: Int32Array,
    weightDecay: number,
    learningRate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    step: number,
    gradientScale: number,
  ): Promise<void>;
  /** The Euclidean norm of all values together, summed in fp64, the same for every number of threads. */
  gradientNorm(gradients: readonly Float32Array[]): Promise<number>;
  /** targets[i] += sources[i], value by value. */
  accumulate(targets: readonly Float32Array[], sources: readonly Float32Array[]): Promise<void>;
  /**
   * table[ids[i]] += rows[i], in ascending i. table (n · cols), rows (ids · cols); rows of id `skip` are left out.
   */
  scatterAddRows(table: Float32Array, cols: number, rows: Float32Array, ids: Int32Array, skip: number): Promise<void>;
  /**
   * Fills each mask with 1 (keep) and 0 (drop, with `probability`), a function of seed, step, its site and the place in it.
   */
  dropoutMasks(
    masks: readonly Uint8Array[],
    sites: Int32Array,
    seed: number,
    step: number,
    probability: number,
  ): Promise<void>;
}

let loaded: NativeBinding | undefined;

/**
 * The native addon, loaded on first use, so that importing the package never fails.
 * @throws FlatrankError `ERR_NATIVE` that says where it was looked for and how to mend it
 */
export function native(): NativeBinding {
  if (loaded) return loaded;
  const root = fileURLToPath(new URL('..', import.meta.url));
  const require = createRequire(import.meta.url);
  try {
    loaded = (require('node-gyp-build') as (directory: string) => NativeBinding)(root);
  } catch (cause) {
    if (isNativeError(cause)) throw new FlatrankError(cause.code, cause.message);
    throw new FlatrankError(
      'ERR_NATIVE',
      `The native addon of flatrank could not be loaded for ${process.platform}-${process.arch}, Node.js ` +
        `${process.versions.node}: ${cause instanceof Error ? cause.message.trim() : String(cause)}\n` +
        'Looked in build/Release and prebuilds of the package. If your platform has no prebuilt file, build it with ' +
        'a C++20 compiler and CMake: `npx cmake-js compile` in the package’s folder.',
      { cause },
    );
  }
  loaded.setErrorClass(FlatrankError);
  return loaded;
}

function isNativeError(error: unknown): error is Error & { code: FlatrankErrorCode } {
  return error instanceof Error && 'code' in error && String(error.code) === 'ERR_UNSUPPORTED';
}

/**
 * Awaits one native job that an AbortSignal can stop. The job has ended, either way, when the promise settles; an
 * aborted one rejects with `signal.reason`. Errors get the stack of whoever called.
 */
export async function runNative<T>(
  signal: AbortSignal | undefined,
  start: (cancellation: NativeCancellation | undefined) => Promise<T>,
): Promise<T> {
  const site = new Error();
  signal?.throwIfAborted();
  const cancellation = signal ? new (native().Cancellation)() : undefined;
  const onAbort = (): void => cancellation?.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await start(cancellation);
  } catch (error) {
    if (signal?.aborted && error instanceof FlatrankError && error.code === 'ERR_CANCELLED') throw signal.reason;
    if (error instanceof FlatrankError)
      error.stack = `FlatrankError: ${error.message}\n${site.stack?.split('\n').slice(1).join('\n') ?? ''}`;
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}
