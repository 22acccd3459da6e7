import { setImmediate as nextTurn } from 'node:timers/promises';
import { IndexFlatIP, IndexFlatL2 } from '../flat/index.js';
import { Matrix } from '../matrix.js';
import type { RetrieverMetric } from './types.js';

/** Where a Retriever keeps its vectors, apart from their documents; vector i belongs to document i. */
export interface VectorStore {
  /** How many vectors a search sees. */
  readonly count: number;
  /** Takes rows (n, dimension) that no search sees yet. */
  stage(rows: Matrix): void;
  /** Makes the staged rows visible at once; where it rejects, none is visible, and `rollback` is due. */
  commit(signal: AbortSignal | undefined): Promise<void>;
  /** Forgets the staged rows. */
  rollback(): void;
  /** The best k of each query (nq, dimension): rows and what the metric's index reports, each (nq · k), padded with −1. */
  search(
    queries: Matrix,
    k: number,
    signal: AbortSignal | undefined,
  ): Promise<{ distances: Float32Array; labels: Int32Array }>;
  /** Frees the vectors. */
  dispose(): Promise<void>;
}

/** Vectors in memory, searched exactly. */
export class FlatVectorStore implements VectorStore {
  readonly #index: IndexFlatIP | IndexFlatL2;
  #staged: Matrix[] = [];

  constructor(dimension: number, metric: RetrieverMetric) {
    this.#index = metric === 'l2' ? new IndexFlatL2(dimension) : new IndexFlatIP(dimension);
  }

  get count(): number {
    return this.#index.ntotal;
  }

  stage(rows: Matrix): void {
    this.#staged.push(rows);
  }

  async commit(signal: AbortSignal | undefined): Promise<void> {
    if (this.#staged.length === 0) return;
    // The index takes one addition whole or not at all.
    this.#staged = [await concatenate(this.#staged, this.#index.dimension)];
    await this.#index.add(this.#staged[0]!, signal ? { signal } : {});
    this.#staged = [];
  }

  rollback(): void {
    this.#staged = [];
  }

  search(
    queries: Matrix,
    k: number,
    signal: AbortSignal | undefined,
  ): Promise<{ distances: Float32Array; labels: Int32Array }> {
    return this.#index.search(queries, k, signal ? { signal } : {});
  }

  async dispose(): Promise<void> {
    this.rollback();
    await this.#index.dispose();
  }
}

/** One matrix of the rows of `parts`, which it empties as it goes, so that they are never held twice. */
async function concatenate(parts: Matrix[], cols: number): Promise<Matrix> {
  if (parts.length === 1) return parts[0]!;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const data = new Float32Array(rows * cols);
  let at = 0;
  for (let part = parts.shift(); part; part = parts.shift()) {
    data.set(part.data, at);
    at += part.data.length;
    await nextTurn(); // a copy of all of them at once would hold the event loop
  }
  return new Matrix(data, rows, cols);
}
