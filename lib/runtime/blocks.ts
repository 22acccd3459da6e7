import type { TokenBatch } from './backend.js';

/** The texts of a batch in blocks of equal length, each text's tokens together. */
export interface Blocks {
  /** (n) texts in the order of the blocks: longest first, equal lengths in their order. */
  readonly order: Int32Array;
  /** (n + 1) tokens before each text in that order. */
  readonly starts: Int32Array;
  /** (G) texts of each block, and tokens of each of its texts. */
  readonly texts: readonly number[];
  readonly lengths: readonly number[];
}

/** Puts the texts of `batch` into blocks. */
export function blocksOf({ starts }: TokenBatch): Blocks {
  const count = starts.length - 1;
  const length = (i: number): number => starts[i + 1]! - starts[i]!;
  const order = Int32Array.from({ length: count }, (_, i) => i).sort((a, b) => length(b) - length(a) || a - b);
  const ordered = new Int32Array(count + 1);
  const texts: number[] = [];
  const lengths: number[] = [];
  for (const [k, i] of order.entries()) {
    const tokens = length(i);
    ordered[k + 1] = ordered[k]! + tokens;
    if (lengths.at(-1) === tokens) texts[texts.length - 1]! += 1;
    else {
      lengths.push(tokens);
      texts.push(1);
    }
  }
  return { order, starts: ordered, texts, lengths };
}
