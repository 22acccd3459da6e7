import type { IDSelector } from './selectors.js';

/** Options of IndexFlatL2 and IndexFlatIP. */
export interface IndexFlatOptions {
  /**
   * Where vectors are searched: `'cpu'`, the default, or `'cuda'`, the first NVIDIA GPU (compute capability 7.5 or more), with the
   * same answers to the bit. It takes the library flatrank_cuda, which `FLATRANK_CUDA=on npx cmake-js rebuild` builds. Rows stay in
   * the CPU's memory as well: {@link IndexFlatL2.rangeSearch}, more than 1,024 neighbours, and queries that very many rows
   * are equally near to are answered there. A search rejects with `ERR_OUT_OF_MEMORY` where the rows do not fit the GPU's memory.
   */
  device?: 'cpu' | 'cuda';
  /**
   * `'int8'`, the default: codes of about dimension + 16 bytes a row are kept beside the rows and searched first, several
   * times faster with the same answers. `'none'` saves that memory.
   */
  codes?: 'int8' | 'none';
  /** The most threads one call uses; all that the process may use unless given. */
  threads?: number;
}

/** What IndexFlat.search takes besides queries and k. */
export interface SearchOptions {
  /** The rows that may be found; all unless given. Rows it leaves out are skipped, not filtered afterwards. */
  selector?: IDSelector;
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

/** All rows within a distance of each query. */
export interface RangeSearchResult {
  /** (nq + 1): the rows of query j are those from `limits[j]` up to `limits[j + 1]`. */
  limits: Uint32Array;
  /** Squared L2 distances, ascending in each query, or inner products, descending. */
  distances: Float32Array;
  labels: Int32Array;
}

/** Options of `IndexFlatL2.read` and `IndexFlatIP.read`. */
export interface ReadOptions extends IndexFlatOptions {
  /**
   * Leaves the rows in the file and maps it into memory, so that they take memory only while they are looked at. The file
   * must not be changed or cut short while the index lives; replacing it by another one, as `write` does, is fine.
   */
  mmap?: boolean;
  /** Stops reading, which then rejects with `signal.reason`. */
  signal?: AbortSignal;
}
