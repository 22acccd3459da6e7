import type { Matrix } from '../matrix.js';
import type { Row, Snapshot } from './segment.js';

/** Where a Retriever keeps its documents, for the rest of this package. */
export const collectionOf: unique symbol = Symbol('flatrank.collection');

/** Documents and vectors that change, one change at a time, while any number of searches look at snapshots of them. */
export interface Collection<M> {
  /** What a search that is called now sees. */
  readonly snapshot: Snapshot<M>;
  /** Begins an addition. */
  begin(): Promise<Addition<M>>;
  /** Removes documents. @returns how many of these ids were there */
  remove(ids: readonly string[], signal: AbortSignal | undefined): Promise<number>;
  /** Frees the room of what was removed. */
  compact(signal: AbortSignal | undefined): Promise<void>;
  /** Lets go of everything held. */
  dispose(): Promise<void>;
}

/** Rows on their way in: seen by nobody before `commit` resolves, and gone behind `rollback`. */
export interface Addition<M> {
  /** The number that the next made id tries first. */
  readonly firstNumber: number;
  /** Whether there is a document with this id, or one was given to this addition. */
  has(id: string): boolean;
  /** Takes rows and their vectors (n, dimension). A document that is there already, with the same id, will be replaced. */
  append(rows: readonly Row<M>[], vectors: Matrix): Promise<void>;
  /** Makes the rows seen, and what they replace gone, at one moment. @returns how many documents were added */
  commit(signal: AbortSignal | undefined): Promise<number>;
  rollback(): Promise<void>;
}
