/** Sets of rows as bits: row i is bit i & 7 of byte i >> 3, as faiss IDSelectorBitmap has them. */
export type Bitmap = Uint8Array<ArrayBuffer>;

const ones = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let bits = byte; bits > 0; bits &= bits - 1) count++;
  return count;
});

/** A bitmap of `rows` rows, all of them in it where `filled` says so. */
export function makeBitmap(rows: number, filled = false): Bitmap {
  const bitmap = new Uint8Array(Math.ceil(rows / 8)).fill(filled ? 0xff : 0);
  return filled ? trim(bitmap, rows) : bitmap;
}

/** How many rows are in it. */
export function countBits(bitmap: Bitmap): number {
  let count = 0;
  for (const byte of bitmap) count += ones[byte]!;
  return count;
}

/** Whether `row` is in it. */
export function hasBit(bitmap: Bitmap, row: number): boolean {
  return ((bitmap[row >> 3]! >> (row & 7)) & 1) === 1;
}

/** Puts `row` in. */
export function setBit(bitmap: Bitmap, row: number): void {
  bitmap[row >> 3]! |= 1 << (row & 7);
}

/** A copy with room for `rows` rows, which are not in it where they are new. */
export function resized(bitmap: Bitmap | undefined, rows: number): Bitmap {
  const copy = makeBitmap(rows);
  if (bitmap) copy.set(bitmap.subarray(0, copy.length));
  return copy;
}

/** The first `rows` rows that are in `a` (all where it is undefined) and not in `b`. */
export function minus(a: Bitmap | undefined, b: Bitmap, rows: number): Bitmap {
  const out = a ? resized(a, rows) : makeBitmap(rows, true);
  const length = Math.min(out.length, b.length);
  for (let i = 0; i < length; i++) out[i]! &= ~b[i]!;
  return out;
}

/** Combines bitmaps of the same length in place of the first: those in all of them, or in any. */
export function combine(bitmaps: readonly Bitmap[], how: 'and' | 'or', rows: number): Bitmap {
  const out = makeBitmap(rows, how === 'and');
  for (const bitmap of bitmaps)
    for (let i = 0; i < out.length; i++) out[i] = how === 'and' ? out[i]! & bitmap[i]! : out[i]! | bitmap[i]!;
  return out;
}

/** The rows of `rows` that are not in it. */
export function inverted(bitmap: Bitmap, rows: number): Bitmap {
  return trim(
    bitmap.map((byte) => ~byte),
    rows,
  );
}

function trim(bitmap: Bitmap, rows: number): Bitmap {
  if (rows % 8 !== 0) bitmap[bitmap.length - 1]! &= (1 << (rows & 7)) - 1;
  return bitmap;
}
