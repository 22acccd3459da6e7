/** Truncation as the `tokenizers` library does it, before special tokens are put around. */

/** Which end of a text is kept short: 'right' drops the last tokens, 'left' the first. */
export type TruncationSide = 'left' | 'right';

/**
 * How many tokens of a pair stay, so that together they are at most `max`: the strategy "longest_first" (in closed form,
 * as in `truncate_encodings`). The shorter text stays whole where the longer one can make room for it; else both
 * get half, and the one that was longer the odd token.
 */
export function longestFirst(length1: number, length2: number, max: number): readonly [number, number] {
  if (length1 + length2 <= max) return [length1, length2];
  const swap = length1 > length2;
  let short = swap ? length2 : length1;
  let long = short > max ? short : Math.max(short, max - short);
  if (short + long > max) {
    short = Math.floor(max / 2);
    long = short + (max % 2);
  }
  return swap ? [long, short] : [short, long];
}

/** The first or last `length` tokens of `ids`; all of them where there are no more. */
export function keep(ids: readonly number[], length: number, side: TruncationSide): readonly number[] {
  if (ids.length <= length) return ids;
  return side === 'right' ? ids.slice(0, length) : ids.slice(ids.length - length);
}
