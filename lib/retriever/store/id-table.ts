import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A document id, as rows are found by it: the first 128 bits of the SHA-256 of its UTF-16LE, as four words. */
export type IdKey = Readonly<Uint32Array<ArrayBuffer>>;

export const idKeyWords = 4;

/** Rows entered before others have a turn on the event loop: a few milliseconds. */
const rowsAtOnce = 8192;

/**
 * The key of a document id. Two ids with the same key are not to be found by anybody: UTF-16 keeps apart what UTF-8
 * writes as one replacement character.
 */
export function idKey(id: string): IdKey {
  const digest = hash('sha256', Buffer.from(id, 'utf16le'), 'buffer');
  return Uint32Array.from({ length: idKeyWords }, (_, i) => digest.readUInt32LE(4 * i));
}

/**
 * Rows by the id of their document, in 24 bytes a row and without the ids: a hash table with open addressing. Rows of one
 * document stand together; where an id comes again behind other rows, the later ones are what is found.
 */
export class IdTable {
  #keys: Uint32Array = new Uint32Array(0);
  #slots = new Uint32Array(16); // row + 1 of the first row of a run; 0 is free
  #runs = 0;
  #rows = 0;

  /** A table of rows with these keys (rows, 4); kept. */
  static async of(keys: Uint32Array): Promise<IdTable> {
    const table = new IdTable();
    const rows = keys.length / idKeyWords;
    let slots = table.#slots.length;
    while (slots < 2 * rows) slots *= 2;
    table.#slots = new Uint32Array(slots);
    table.#keys = keys;
    while (table.#rows < rows) {
      table.#enter(table.#rows++);
      if (table.#rows % rowsAtOnce === 0) await nextTurn();
    }
    return table;
  }

  get rows(): number {
    return this.#rows;
  }

  /** (rows, 4) the keys of all rows. */
  get keys(): Uint32Array {
    return this.#keys.subarray(0, idKeyWords * this.#rows);
  }

  /** Adds a row behind the last one. */
  push(key: IdKey): void {
    if (this.#keys.length < idKeyWords * (this.#rows + 1)) {
      const keys = new Uint32Array(Math.max(64, 2 * this.#keys.length));
      keys.set(this.#keys);
      this.#keys = keys;
    }
    this.#keys.set(key, idKeyWords * this.#rows);
    this.#enter(this.#rows++);
  }

  /** The rows of a document: a run that begins at the first and ends before the second; both 0 where there are none. */
  find(key: IdKey): [first: number, end: number] {
    const slot = this.#slots[this.#slotOf(key)]!;
    if (slot === 0) return [0, 0];
    const first = slot - 1;
    let end = first + 1;
    while (end < this.#rows && this.#equals(end, key)) end++;
    return [first, end];
  }

  #enter(row: number): void {
    const key = this.#keys.subarray(idKeyWords * row, idKeyWords * (row + 1)) as IdKey;
    if (row > 0 && this.#equals(row - 1, key)) return;
    if (2 * (this.#runs + 1) > this.#slots.length) this.#grow();
    const slot = this.#slotOf(key);
    if (this.#slots[slot] === 0) this.#runs++;
    this.#slots[slot] = row + 1;
  }

  #grow(): void {
    const filled = this.#slots.filter((slot) => slot !== 0);
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (const slot of filled) {
      const row = slot - 1;
      this.#slots[this.#slotOf(this.#keys.subarray(idKeyWords * row, idKeyWords * (row + 1)) as IdKey)] = slot;
    }
  }

  /** The slot of the key, or the free one where it would stand. */
  #slotOf(key: IdKey): number {
    const mask = this.#slots.length - 1;
    for (let slot = key[0]! & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]!;
      if (row === 0 || this.#equals(row - 1, key)) return slot;
    }
  }

  #equals(row: number, key: IdKey): boolean {
    for (let i = 0; i < idKeyWords; i++) if (this.#keys[idKeyWords * row + i] !== key[i]) return false;
    return true;
  }
}
