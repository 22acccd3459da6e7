import { IndexFlatIP, IndexFlatL2 } from '../flat/index.js';
import { Matrix } from '../matrix.js';
import type { RetrieverMetric } from './types.js';

/** Where a Retriever keeps its vectors, apart from their documents; vector i belongs to document i. */
export interface VectorStore {
  /** How many vectors a search sees. */
  readonly count: number;
  /** Takes rows (n, dimension) that no search sees yet. */
  stage(rows: Matrix): void;
  /** Makes the staged rows visible at once; where it rejects, nothing is visible and the rows are still staged. */
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
    await this.#index.add(concatenate(this.#staged, this.#index.dimension), signal ? { signal } : {});
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

/** One matrix of the rows of several: the index takes an addition whole or not at all. */
function concatenate(parts: readonly Matrix[], cols: number): Matrix {
  if (parts.length === 1) return parts[0]!;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const data = new Float32Array(rows * cols);
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return new Matrix(data, rows, cols);
}
