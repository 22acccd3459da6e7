import { FlatSegment } from '../flat/segment.js';
import type { Matrix } from '../matrix.js';
import { type Bitmap, resized, setBit } from './bitmap.js';
import type { Addition, Collection } from './collection.js';
import { type Column, ColumnBuilder, jsonValue } from './columns.js';
import { liveRowsAndVectors } from './live-rows.js';
import { Counted, type Row, type Segment, type Snapshot } from './segment.js';
import type { RetrieverMetric } from './types.js';

/** Rows of a document: those from the first to before the second. */
type Run = readonly [first: number, end: number];

/** Rows in memory; metadata is kept by reference, not copied. */
class MemorySegment<M> extends Counted implements Segment<M> {
  readonly flat: FlatSegment;
  readonly #rows: Row<M>[] = [];
  readonly #columns = new Map<string, { builder: ColumnBuilder; codes: Uint32Array; rows: number }>();

  constructor(dimension: number, metric: RetrieverMetric) {
    super();
    this.flat = new FlatSegment(dimension, metric === 'l2' ? 'l2' : 'ip');
  }

  get count(): number {
    return this.#rows.length;
  }

  push(rows: readonly Row<M>[]): void {
    for (const row of rows) this.#rows.push(row);
  }

  truncate(count: number): void {
    this.#rows.length = count;
  }

  vectors(): Promise<FlatSegment> {
    return Promise.resolve(this.flat);
  }

  get(rows: readonly number[]): Promise<Row<M>[]> {
    return Promise.resolve(rows.map((row) => this.#rows[row]!));
  }

  rows(begin: number, end: number): Promise<Row<M>[]> {
    return Promise.resolve(this.#rows.slice(begin, end));
  }

  read(begin: number, end: number): Promise<Matrix> {
    return Promise.resolve(this.flat.read(begin, end));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- so that what cannot be read rejects
  async column(field: string, rows: number): Promise<Column> {
    let column = this.#columns.get(field);
    if (!column)
      this.#columns.set(field, (column = { builder: new ColumnBuilder(), codes: new Uint32Array(64), rows: 0 }));
    if (column.codes.length < rows) {
      const codes = new Uint32Array(Math.max(rows, 2 * column.codes.length));
      codes.set(column.codes);
      column.codes = codes;
    }
    for (; column.rows < rows; column.rows++) {
      const { id, metadata } = this.#rows[column.rows]!;
      const has = Object.hasOwn(metadata as object, field);
      const found = has ? (metadata as Record<string, unknown>)[field] : undefined;
      const value = found === undefined ? undefined : jsonValue(found, `${field} of document ${JSON.stringify(id)}`);
      column.codes[column.rows] = value === undefined ? 0 : column.builder.codeOf(value);
    }
    return { values: column.builder.values, codes: column.codes };
  }

  protected close(): Promise<void> {
    this.flat.dispose();
    return Promise.resolve();
  }
}

/** Documents in memory. */
export class MemoryCollection<M> implements Collection<M> {
  readonly #dimension: number;
  readonly #metric: RetrieverMetric;
  #segment: MemorySegment<M>;
  #removed: Bitmap | undefined;
  #runs = new Map<string, Run>();
  #numbered = 0;
  #snapshot: Snapshot<M> = { parts: [], documents: 0 };

  constructor(dimension: number, metric: RetrieverMetric) {
    this.#dimension = dimension;
    this.#metric = metric;
    this.#segment = new MemorySegment(dimension, metric);
  }

  get snapshot(): Snapshot<M> {
    return this.#snapshot;
  }

  begin(): Promise<Addition<M>> {
    const segment = this.#segment;
    const before = segment.count;
    const rows: Row<M>[] = [];
    const given = new Set<string>();
    return Promise.resolve({
      firstNumber: this.#numbered,
      has: (id) => given.has(id) || this.#runs.has(id),
      append: async (more, vectors) => {
        await segment.flat.stage(vectors);
        for (const row of more) {
          rows.push(row);
          given.add(row.id);
        }
      },
      commit: async (signal) => {
        segment.push(rows); // nobody looks at these before the snapshot counts them
        await segment.flat.commit(signal);
        this.#numbered += given.size;
        this.#enter(rows, before);
        return given.size;
      },
      rollback: () => {
        segment.flat.rollback();
        segment.truncate(before);
        return Promise.resolve();
      },
    });
  }

  remove(ids: readonly string[]): Promise<number> {
    const before = this.#runs.size;
    let removed = this.#removed;
    for (const id of ids) removed = this.#forget(id, removed);
    this.#publish(removed);
    return Promise.resolve(before - this.#runs.size);
  }

  async compact(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#removed) return;
    const fresh = new MemorySegment<M>(this.#dimension, this.#metric);
    const kept: Row<M>[] = [];
    try {
      for await (const { rows, vectors } of liveRowsAndVectors(this.#snapshot)) {
        signal?.throwIfAborted();
        await fresh.flat.stage(vectors);
        kept.push(...rows);
      }
      await fresh.flat.commit(signal);
    } catch (error) {
      await fresh.release();
      throw error;
    }
    const old = this.#segment;
    fresh.push(kept);
    this.#segment = fresh;
    this.#removed = undefined;
    this.#runs.clear();
    this.#enter(kept, 0);
    await old.release();
  }

  dispose(): Promise<void> {
    this.#runs.clear();
    return this.#segment.release();
  }

  /** Makes rows that stand from row `first` on seen, and what they replace gone. */
  #enter(rows: readonly Row<M>[], first: number): void {
    let removed = this.#removed;
    for (let i = 0; i < rows.length;) {
      const { id } = rows[i]!;
      const begin = i;
      // Two documents of one id may follow each other, the later of which replaces the earlier.
      while (i < rows.length && rows[i]!.id === id && (i === begin || (rows[i]!.passage?.index ?? 0) > 0)) i++;
      removed = this.#forget(id, removed);
      this.#runs.set(id, [first + begin, first + i]);
    }
    this.#publish(removed);
  }

  /** Takes a document's rows out, in a copy of what snapshots hold. */
  #forget(id: string, removed: Bitmap | undefined): Bitmap | undefined {
    const run = this.#runs.get(id);
    if (!run) return removed;
    this.#runs.delete(id);
    const marked = removed && removed !== this.#removed ? removed : resized(removed, this.#segment.count);
    for (let row = run[0]; row < run[1]; row++) setBit(marked, row);
    return marked;
  }

  #publish(removed: Bitmap | undefined): void {
    const segment = this.#segment;
    this.#removed = removed;
    const parts = segment.count === 0 ? [] : [{ segment, rows: segment.count, removed }];
    this.#snapshot = { parts, documents: this.#runs.size };
  }
}
