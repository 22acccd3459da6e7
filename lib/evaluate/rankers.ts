import { setImmediate as nextTurn } from 'node:timers/promises';
import { IndexFlatIP, IndexFlatL2 } from '../flat/index.js';
import { Matrix } from '../matrix.js';
import type { SimilarityFunction } from '../model/index.js';
import { normalizeRows, similarityMatrix } from '../model/similarity.js';
import { orderByScore } from './ranking-metrics.js';
import { rowOf } from './similarities.js';

/** Documents in the order of a similarity. Equal ones come in the order they were added. */
export interface Ranker {
  /** Appends documents (n, dimension). */
  add(documents: Matrix): Promise<void>;
  /** The numbers of the k best documents of each query, best first; fewer where there are fewer. */
  rank(queries: Matrix, k: number, signal: AbortSignal | undefined): Promise<Int32Array[]>;
  dispose(): Promise<void>;
}

/** Exact search by the flat indexes, or, for manhattan, by comparing all. */
export function createRanker(similarity: SimilarityFunction, dimension: number): Ranker {
  if (similarity === 'manhattan') return new ManhattanRanker();
  const index = similarity === 'euclidean' ? new IndexFlatL2(dimension) : new IndexFlatIP(dimension);
  return new FlatRanker(index, similarity === 'cosine');
}

class FlatRanker implements Ranker {
  readonly #index: IndexFlatIP | IndexFlatL2;
  readonly #normalize: boolean;

  constructor(index: IndexFlatIP | IndexFlatL2, normalize: boolean) {
    this.#index = index;
    this.#normalize = normalize;
  }

  add(documents: Matrix): Promise<void> {
    return this.#index.add(this.#prepared(documents));
  }

  async rank(queries: Matrix, k: number, signal: AbortSignal | undefined): Promise<Int32Array[]> {
    const width = Math.min(k, this.#index.ntotal);
    if (width === 0) return Array.from({ length: queries.rows }, () => new Int32Array(0));
    const { labels } = await this.#index.search(this.#prepared(queries), width, signal ? { signal } : {});
    return Array.from({ length: queries.rows }, (_, i) => labels.subarray(i * width, (i + 1) * width));
  }

  dispose(): Promise<void> {
    return this.#index.dispose();
  }

  #prepared(m: Matrix): Matrix {
    if (!this.#normalize) return m;
    const data = Float32Array.from(m.data);
    normalizeRows(data, m.cols);
    return new Matrix(data, m.rows, m.cols);
  }
}

class ManhattanRanker implements Ranker {
  readonly #parts: Matrix[] = [];

  add(documents: Matrix): Promise<void> {
    this.#parts.push(documents);
    return Promise.resolve();
  }

  async rank(queries: Matrix, k: number, signal: AbortSignal | undefined): Promise<Int32Array[]> {
    const result: Int32Array[] = [];
    for (let i = 0; i < queries.rows; i++) {
      await nextTurn(undefined, signal ? { signal } : {});
      const scores = this.#parts.flatMap((part) => [...similarityMatrix('manhattan', rowOf(queries, i), part).data]);
      result.push(Int32Array.from(orderByScore(scores).slice(0, k)));
    }
    return result;
  }

  dispose(): Promise<void> {
    this.#parts.length = 0;
    return Promise.resolve();
  }
}
