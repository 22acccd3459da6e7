import { FlatrankError, describe } from '../errors.js';
import type { RetrieverDocument } from './types.js';

/**
 * Where a Retriever keeps its documents, apart from their vectors. Documents have rows from 0 in the order they were
 * appended; row i belongs to vector i.
 */
export interface DocumentStore<M> {
  /** How many documents there are. */
  readonly count: number;
  /** Whether there is a document with this id. */
  has(id: string): boolean;
  /** Appends documents, all or none. Throws `ERR_DUPLICATE_ID` for an id that is there or given twice. */
  append(documents: readonly RetrieverDocument<M>[]): void;
  /** Forgets all documents from row `count` on. */
  truncate(count: number): void;
  /** The documents at these rows, in their order. */
  get(rows: readonly number[]): Promise<RetrieverDocument<M>[]>;
  /** Lets go of everything held. */
  dispose(): void;
}

/** Documents in memory. Metadata is kept by reference, not copied. */
export class MemoryDocumentStore<M> implements DocumentStore<M> {
  #documents: RetrieverDocument<M>[] = [];
  readonly #rows = new Map<string, number>();

  get count(): number {
    return this.#documents.length;
  }

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  append(documents: readonly RetrieverDocument<M>[]): void {
    const before = this.count;
    for (const document of documents) {
      if (this.#rows.has(document.id)) {
        this.truncate(before);
        throw duplicateId(document.id);
      }
      this.#rows.set(document.id, this.count);
      this.#documents.push(document);
    }
  }

  truncate(count: number): void {
    for (const { id } of this.#documents.splice(count)) this.#rows.delete(id);
  }

  get(rows: readonly number[]): Promise<RetrieverDocument<M>[]> {
    return Promise.resolve(rows.map((row) => this.#documents[row]!));
  }

  dispose(): void {
    this.#documents = [];
    this.#rows.clear();
  }
}

/** An `ERR_DUPLICATE_ID` that names the id. */
export function duplicateId(id: string): FlatrankError {
  return new FlatrankError(
    'ERR_DUPLICATE_ID',
    `Expected every document to have its own id but ${describe(id)} is taken`,
  );
}
