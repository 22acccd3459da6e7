import type { FlatSegment } from '../flat/segment.js';
import type { Matrix } from '../matrix.js';
import type { Bitmap } from './bitmap.js';
import type { Column } from './columns.js';
import type { Passage, RetrieverDocument } from './types.js';

/** Where a document came from, for whoever keeps a store in step with files. Not seen by JSON, nor by users. */
export const origin: unique symbol = Symbol('flatrank.origin');

/** A file, and a hash of what the document was there. */
export interface Origin {
  readonly file: string;
  readonly content: string;
}

/** One row: a document, or a passage of one. Rows of the same document stand together. */
export interface Row<M> extends RetrieverDocument<M> {
  passage?: Passage;
  [origin]?: Origin;
}

/** Rows of documents and vectors that never change, though more may be added behind them. Row i belongs to vector i. */
export interface Segment<M> {
  /** The vectors. A search of them rejects where it meets a damaged one. */
  vectors(): Promise<FlatSegment>;
  /** The rows with these numbers, in their order. */
  get(rows: readonly number[]): Promise<Row<M>[]>;
  /** The rows [begin, end). */
  rows(begin: number, end: number): Promise<Row<M>[]>;
  /** Copies of the vectors of rows [begin, end). */
  read(begin: number, end: number): Promise<Matrix>;
  /** A field of the metadata, over the first `rows` rows at least. */
  column(field: string, rows: number): Promise<Column | undefined>;
  /** Keeps it from being closed until `release`. */
  retain(): void;
  release(): Promise<void>;
}

/** What is closed when nobody uses it any more; whoever makes it is the first user. */
export abstract class Counted {
  #users = 1;

  retain(): void {
    this.#users++;
  }

  /** Never rejects: what is not used any more has no errors that matter. */
  async release(): Promise<void> {
    if (--this.#users === 0) await this.close().catch(() => undefined);
  }

  protected abstract close(): Promise<void>;
}

/** What is seen of one segment. */
export interface Part<M> {
  readonly segment: Segment<M>;
  /** Its first rows, so many. */
  readonly rows: number;
  /** Those of them that were removed. */
  readonly removed?: Bitmap | undefined;
}

/** What a search sees: it never changes. */
export interface Snapshot<M> {
  readonly parts: readonly Part<M>[];
  /** How many documents there are; a document of several passages is one. */
  readonly documents: number;
}

/** Runs a job on a snapshot whose segments stay open for it. */
export async function holding<M, T>(snapshot: Snapshot<M>, job: (snapshot: Snapshot<M>) => Promise<T>): Promise<T> {
  for (const { segment } of snapshot.parts) segment.retain();
  try {
    return await job(snapshot);
  } finally {
    for (const { segment } of snapshot.parts) await segment.release();
  }
}
