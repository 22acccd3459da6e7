import { longText } from '../encoders/index.js';
import type { Processor, TokenBatch } from '../runtime/backend.js';
import type { Tokens } from './tokenizer.js';

/**
 * Padded tokens in a batch unless a call says otherwise. On the CPU what a layer reads and writes stays in a core's cache, and its
 * weights are still read for many tokens at once; a GPU wants work for all its multiprocessors.
 */
export const defaultBatchTokens: Readonly<Record<Processor, number>> = { cpu: 512, cuda: 8192 };

/**
 * Cuts texts into batches of similar length: longest first, so that little is padded and the most expensive batch
 * comes at once; texts of equal length stay in input order. A batch padded to its longest text has at most `budget`
 * tokens, or is one text; a {@link longText} is alone in any case.
 * @param lengths (n) tokens of each text
 * @returns indices of the texts of each batch
 */
export function planBatches(lengths: Int32Array, budget: number): Int32Array[] {
  const order = Int32Array.from(lengths, (_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const batches: Int32Array[] = [];
  for (let from = 0; from < order.length;) {
    const longest = Math.max(1, lengths[order[from]!]!);
    const count = longest > longText ? 1 : Math.max(1, Math.floor(budget / longest));
    batches.push(order.subarray(from, from + count));
    from += count;
  }
  return batches;
}

/** The tokens of many texts in two growing arrays: far smaller than an array a text. */
export class TokenStore {
  #ids = new Int32Array(1024);
  #typeIds = new Int32Array(1024);
  readonly #starts = [0];
  readonly #truncated: number[] = [];

  /** Texts held. */
  get count(): number {
    return this.#starts.length - 1;
  }

  /** Indices of texts that were cut. */
  get truncated(): Int32Array<ArrayBuffer> {
    return Int32Array.from(this.#truncated);
  }

  /** Takes the next text's tokens. */
  push({ ids, typeIds, truncated }: Tokens): void {
    if (truncated) this.#truncated.push(this.count);
    const start = this.#starts.at(-1)!;
    const end = start + ids.length;
    if (end > this.#ids.length) {
      this.#ids = grown(this.#ids, end);
      this.#typeIds = grown(this.#typeIds, end);
    }
    this.#ids.set(ids, start);
    this.#typeIds.set(typeIds, start);
    this.#starts.push(end);
  }

  /** (n) tokens of each text. */
  lengths(): Int32Array {
    return Int32Array.from({ length: this.count }, (_, i) => this.#starts[i + 1]! - this.#starts[i]!);
  }

  /** The tokens of the texts `indices`, in that order. */
  gather(indices: Int32Array): TokenBatch {
    const starts = new Int32Array(indices.length + 1);
    for (const [k, i] of indices.entries()) starts[k + 1] = starts[k]! + this.#starts[i + 1]! - this.#starts[i]!;
    const ids = new Int32Array(starts.at(-1)!);
    const typeIds = new Int32Array(starts.at(-1)!);
    for (const [k, i] of indices.entries()) {
      ids.set(this.#ids.subarray(this.#starts[i], this.#starts[i + 1]), starts[k]);
      typeIds.set(this.#typeIds.subarray(this.#starts[i], this.#starts[i + 1]), starts[k]);
    }
    return { ids, typeIds, starts };
  }
}

function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(length, array.length * 2));
  larger.set(array);
  return larger;
}
