import { FlatrankError, checkInteger, describe, invalidArgument } from '../errors.js';

/**
 * A set of labels, as faiss IDSelector: which rows a search may return, or which rows to remove. Selectors are applied
 * before a search, which skips what they leave out; they say nothing about labels the index does not have. What those below
 * are made of is copied, and their bitmaps are made faster; a class of one's own need only say what {@link isMember} is.
 */
export abstract class IDSelector {
  /** Whether `id` is in the set. */
  abstract isMember(id: number): boolean;

  /**
   * The labels below `n` as a bitmap: bit i % 8 of byte i / 8 stands for label i; bits from n on mean nothing.
   * @internal
   */
  bitmap(n: number): Bitmap {
    const bitmap = new Bitmap(n);
    for (let i = 0; i < n; i++) if (this.isMember(i)) bitmap.bytes[i >>> 3]! |= 1 << (i & 7);
    return bitmap;
  }
}

/** A bitmap whose length is a multiple of four bytes, so that sets are combined a word at a time. */
export class Bitmap {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;

  /** All bits clear. */
  constructor(n: number) {
    this.words = new Uint32Array(Math.ceil(n / 32));
    this.bytes = new Uint8Array(this.words.buffer);
  }
}

/** Every label. */
export class IDSelectorAll extends IDSelector {
  isMember(): boolean {
    return true;
  }

  /** @internal */
  override bitmap(n: number): Bitmap {
    const bitmap = new Bitmap(n);
    bitmap.bytes.fill(0xff);
    return bitmap;
  }
}

/** The labels from `imin` up to, but not including, `imax`. */
export class IDSelectorRange extends IDSelector {
  readonly imin: number;
  readonly imax: number;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` where one is not an integer of at least 0 */
  constructor(imin: number, imax: number) {
    super();
    this.imin = checkInteger('imin', imin, 0);
    this.imax = checkInteger('imax', imax, 0);
  }

  isMember(id: number): boolean {
    return id >= this.imin && id < this.imax;
  }

  /** @internal */
  override bitmap(n: number): Bitmap {
    const bitmap = new Bitmap(n);
    const end = Math.min(this.imax, n);
    let i = this.imin;
    for (; i < end && i % 8 !== 0; i++) bitmap.bytes[i >>> 3]! |= 1 << (i & 7);
    const whole = i < end ? Math.floor((end - i) / 8) : 0;
    bitmap.bytes.fill(0xff, i / 8, i / 8 + whole);
    for (i += whole * 8; i < end; i++) bitmap.bytes[i >>> 3]! |= 1 << (i & 7);
    return bitmap;
  }
}

/** Labels given one by one, in any order. */
export class IDSelectorArray extends IDSelector {
  readonly #ids: readonly number[] | Int32Array | Uint32Array;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` where `ids` is not an array of integers of at least 0 */
  constructor(ids: readonly number[] | Int32Array | Uint32Array) {
    super();
    if (!Array.isArray(ids) && !(ids instanceof Int32Array) && !(ids instanceof Uint32Array))
      throw invalidArgument('ids', 'an array of numbers, an Int32Array or a Uint32Array', ids);
    for (let i = 0; i < ids.length; i++)
      if (!Number.isSafeInteger(ids[i]) || ids[i]! < 0)
        throw new FlatrankError(
          'ERR_INVALID_ARGUMENT',
          `Expected \`ids\` to hold integers of at least 0 but received ${describe(ids[i])} at ${i}`,
        );
    this.#ids = ids.slice();
  }

  isMember(id: number): boolean {
    return Array.prototype.includes.call(this.#ids, id);
  }

  /** @internal */
  override bitmap(n: number): Bitmap {
    const bitmap = new Bitmap(n);
    for (const id of this.#ids) if (id < n) bitmap.bytes[id >>> 3]! |= 1 << (id & 7);
    return bitmap;
  }
}

/** Labels given as a list that is asked often: as {@link IDSelectorArray}, with membership looked up in a set. */
export class IDSelectorBatch extends IDSelectorArray {
  readonly #set: ReadonlySet<number>;

  constructor(ids: readonly number[] | Int32Array | Uint32Array) {
    super(ids);
    this.#set = new Set(ids);
  }

  override isMember(id: number): boolean {
    return this.#set.has(id);
  }
}

/** Labels whose bit is set: bit i % 8 of byte i / 8 stands for label i, as in faiss; labels behind the last byte are out. */
export class IDSelectorBitmap extends IDSelector {
  readonly #bytes: Uint8Array;

  constructor(bitmap: Uint8Array) {
    super();
    if (!(bitmap instanceof Uint8Array)) throw invalidArgument('bitmap', 'a Uint8Array', bitmap);
    this.#bytes = bitmap.slice();
  }

  isMember(id: number): boolean {
    return Number.isSafeInteger(id) && id >= 0 && ((this.#bytes[Math.floor(id / 8)] ?? 0) & (1 << (id & 7))) !== 0;
  }

  /** @internal */
  override bitmap(n: number): Bitmap {
    const bitmap = new Bitmap(n);
    bitmap.bytes.set(this.#bytes.subarray(0, bitmap.bytes.length));
    return bitmap;
  }
}

/** The labels that are not in `selector`. */
export class IDSelectorNot extends IDSelector {
  readonly #selector: IDSelector;

  constructor(selector: IDSelector) {
    super();
    this.#selector = checkSelector('selector', selector);
  }

  isMember(id: number): boolean {
    return !this.#selector.isMember(id);
  }

  /** @internal */
  override bitmap(n: number): Bitmap {
    const bitmap = this.#selector.bitmap(n);
    const { words } = bitmap;
    for (let i = 0; i < words.length; i++) words[i] = ~words[i]!;
    return bitmap;
  }
}

/** What the selectors of two or more sets share. */
abstract class Combination extends IDSelector {
  protected readonly selectors: readonly IDSelector[];

  constructor(...selectors: IDSelector[]) {
    super();
    if (selectors.length === 0) throw invalidArgument('selectors', 'at least one selector', selectors);
    this.selectors = selectors.map((selector) => checkSelector('selectors', selector));
  }

  protected abstract combine(a: number, b: number): number;

  /** @internal */
  override bitmap(n: number): Bitmap {
    const [first, ...rest] = this.selectors;
    const bitmap = first!.bitmap(n);
    const { words } = bitmap;
    for (const selector of rest) {
      const other = selector.bitmap(n).words;
      for (let i = 0; i < words.length; i++) words[i] = this.combine(words[i]!, other[i]!);
    }
    return bitmap;
  }
}

/** The labels that are in all of the selectors. */
export class IDSelectorAnd extends Combination {
  isMember(id: number): boolean {
    return this.selectors.every((selector) => selector.isMember(id));
  }

  protected combine(a: number, b: number): number {
    return a & b;
  }
}

/** The labels that are in at least one of the selectors. */
export class IDSelectorOr extends Combination {
  isMember(id: number): boolean {
    return this.selectors.some((selector) => selector.isMember(id));
  }

  protected combine(a: number, b: number): number {
    return a | b;
  }
}

/** The labels that are in an odd number of the selectors; of two, in exactly one. */
export class IDSelectorXOr extends Combination {
  isMember(id: number): boolean {
    return this.selectors.filter((selector) => selector.isMember(id)).length % 2 === 1;
  }

  protected combine(a: number, b: number): number {
    return a ^ b;
  }
}

/** The labels below `n` that are in a selector, and no others. */
export function labelsBelow(n: number, selector: IDSelector): Uint8Array {
  const { bytes, words } = selector.bitmap(n);
  if (n % 32 !== 0) words[words.length - 1]! &= 2 ** (n % 32) - 1;
  return bytes;
}

/** Checks that `value` is a selector and returns it. */
export function checkSelector(name: string, value: unknown): IDSelector {
  if (value instanceof IDSelector) return value;
  throw invalidArgument(name, 'an IDSelector', value);
}
