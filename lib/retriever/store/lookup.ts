import { type Bitmap, hasBit, resized, setBit } from '../bitmap.js';
import type { Part } from '../segment.js';
import { type IdKey, idKey, type IdTable } from './id-table.js';
import type { SegmentEntry } from './manifest.js';
import type { StoredSegment } from './stored-segment.js';

/** A segment as a manifest names it. */
export interface StoredPart<M> extends Part<M> {
  readonly segment: StoredSegment<M>;
  readonly entry: SegmentEntry;
}

/** The documents of stored segments by their ids, and those that a change takes out. */
export class Lookup<M> {
  /** What is removed, with what was before: only segments that lose rows. */
  readonly removed = new Map<StoredPart<M>, Bitmap>();
  /** How many documents are removed. */
  count = 0;
  readonly #places: { part: StoredPart<M>; table: IdTable }[];

  private constructor(places: { part: StoredPart<M>; table: IdTable }[]) {
    this.#places = places;
  }

  /** Newest segments first: what changes is mostly what was added last. */
  static async open<M>(parts: readonly StoredPart<M>[]): Promise<Lookup<M>> {
    const places = parts.map(async (part) => ({ part, table: await part.segment.ids() }));
    return new Lookup((await Promise.all(places)).reverse());
  }

  has(id: string): boolean {
    return this.#find(idKey(id)) !== undefined;
  }

  /** Takes a document out. @returns whether it was there */
  remove(id: string): boolean {
    const found = this.#find(idKey(id));
    if (!found) return false;
    const { part, rows } = found;
    let removed = this.removed.get(part);
    if (!removed) this.removed.set(part, (removed = resized(part.removed, part.rows)));
    for (const row of rows) setBit(removed, row);
    this.count++;
    return true;
  }

  #find(key: IdKey): { part: StoredPart<M>; rows: number[] } | undefined {
    for (const { part, table } of this.#places) {
      const removed = this.removed.get(part) ?? part.removed;
      const [first, end] = table.find(key);
      const rows: number[] = [];
      for (let row = first; row < end; row++) if (!removed || !hasBit(removed, row)) rows.push(row);
      if (rows.length > 0) return { part, rows };
    }
    return undefined;
  }
}
