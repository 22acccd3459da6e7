import type { Matrix } from '../../matrix.js';
import { type Bitmap, resized, setBit } from '../bitmap.js';
import type { Addition } from '../collection.js';
import type { Row } from '../segment.js';
import { idKey } from './id-table.js';
import type { Lookup } from './lookup.js';
import { type SegmentEntry, Unsettled } from './manifest.js';
import type { SegmentWriter } from './segment-writer.js';

/** New segments, written and on the disk but not named by a manifest yet. */
export interface NewSegment {
  readonly entry: SegmentEntry;
  /** Rows that were replaced before they were ever seen. */
  readonly removed: Bitmap | undefined;
}

/** What an addition tells the store that it belongs to. */
export interface AdditionHost<M> {
  readonly lookup: Lookup<M>;
  readonly firstNumber: number;
  newWriter(): Promise<SegmentWriter<M>>;
  publish(segments: readonly NewSegment[], documents: number): Promise<void>;
}

/** Rows on their way into a store: written to new segments as they come, so that memory holds a window of them. */
export class StoreAddition<M> implements Addition<M> {
  readonly #host: AdditionHost<M>;
  readonly #writers: { writer: SegmentWriter<M>; removed: Set<number> }[] = [];
  #documents = 0;
  #unsettled = false;

  constructor(host: AdditionHost<M>) {
    this.#host = host;
  }

  get firstNumber(): number {
    return this.#host.firstNumber;
  }

  has(id: string): boolean {
    return this.#findHere(id) !== undefined || this.#host.lookup.has(id);
  }

  async append(rows: readonly Row<M>[], vectors: Matrix): Promise<void> {
    let last: string | undefined;
    for (const { id, passage } of rows) {
      if (id === last && passage !== undefined && passage.index > 0) continue;
      this.#replace(id);
      this.#documents++;
      last = id;
    }
    if (this.#writers.at(-1)?.writer.full !== false)
      this.#writers.push({ writer: await this.#host.newWriter(), removed: new Set() });
    await this.#writers.at(-1)!.writer.append(rows, vectors);
  }

  async commit(signal: AbortSignal | undefined): Promise<number> {
    const segments: NewSegment[] = [];
    for (const { writer, removed } of this.#writers) {
      signal?.throwIfAborted();
      segments.push({ entry: await writer.finish(), removed: toBitmap(removed, writer.rows) });
    }
    signal?.throwIfAborted();
    try {
      await this.#host.publish(segments, this.#documents);
    } catch (error) {
      this.#unsettled = error instanceof Unsettled;
      throw error;
    }
    return this.#documents;
  }

  async rollback(): Promise<void> {
    if (this.#unsettled) return; // the manifest on the disk may name them
    for (const { writer } of this.#writers) await writer.discard();
  }

  /** Takes the document out that has this id, wherever it is. */
  #replace(id: string): void {
    const here = this.#findHere(id);
    if (here) {
      for (const row of here.rows) here.removed.add(row);
      this.#documents--;
    } else this.#host.lookup.remove(id);
  }

  #findHere(id: string): { removed: Set<number>; rows: number[] } | undefined {
    const key = idKey(id);
    for (const { writer, removed } of this.#writers) {
      const [first, end] = writer.ids.find(key);
      const rows = Array.from({ length: end - first }, (_, i) => first + i).filter((row) => !removed.has(row));
      if (rows.length > 0) return { removed, rows };
    }
    return undefined;
  }
}

function toBitmap(rows: ReadonlySet<number>, count: number): Bitmap | undefined {
  if (rows.size === 0) return undefined;
  const bitmap = resized(undefined, count);
  for (const row of rows) setBit(bitmap, row);
  return bitmap;
}
