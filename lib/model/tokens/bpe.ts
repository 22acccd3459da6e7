import { z } from 'zod';
import { byteIds, idsByToken, unknownId, type Tokenize } from './vocabulary.js';

export const bpeConfig = z.looseObject({
  type: z.literal('BPE'),
  vocab: z.unknown(),
  merges: z.array(z.unknown()),
  /** Merges left out at random, in training alone. */
  dropout: z.literal(0).nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});
type BpeConfig = z.output<typeof bpeConfig>;

interface Merge {
  readonly rank: number;
  /** The token that the two become. */
  readonly id: number;
}

/** Two ids as one number; both are below 2^26, as ids are counted by a file that fits a string. */
const pairOf = (left: number, right: number): number => left * 2 ** 26 + right;

/**
 * Byte pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909): of all neighbours the pair that was learnt
 * first becomes one, until no neighbours were learnt. In n log n steps for a word of n characters.
 */
export function bpe(config: BpeConfig): { ids: Map<string, number>; tokenize: Tokenize } {
  const ids = idsByToken(config.vocab);
  const unknown = unknownId(ids, config.unk_token);
  const prefix = config.continuing_subword_prefix ?? '';
  const suffix = config.end_of_word_suffix ?? '';
  const merges = readMerges(config.merges, ids, prefix);

  /** The characters' tokens, before any merge. */
  const characters = (word: string): number[] => {
    const found: number[] = [];
    let fusing = false;
    const all = Array.from(word);
    for (const [i, character] of all.entries()) {
      const marked = (i > 0 ? prefix : '') + character + (i === all.length - 1 ? suffix : '');
      const id = ids.get(marked);
      const bytes = id === undefined && config.byte_fallback ? byteIds(ids, marked) : undefined;
      if (id !== undefined) found.push(id);
      else if (bytes) found.push(...bytes);
      else if (unknown !== undefined && !(config.fuse_unk && fusing)) found.push(unknown);
      fusing = id === undefined && !bytes;
    }
    return found;
  };
  const tokenize = (word: string): readonly number[] => {
    const whole = config.ignore_merges ? ids.get(word) : undefined;
    return whole === undefined ? mergeAll(characters(word), merges) : [whole];
  };
  return { ids, tokenize };
}

/** Merges by their pair: 'a b' or ['a', 'b'], in the order in which they were learnt. */
function readMerges(list: readonly unknown[], ids: ReadonlyMap<string, number>, prefix: string): Map<number, Merge> {
  const merges = new Map<number, Merge>();
  for (const [rank, entry] of list.entries()) {
    const pair: unknown[] = typeof entry === 'string' ? entry.split(' ') : Array.isArray(entry) ? entry : [];
    const [left, right] = pair;
    if (pair.length !== 2 || typeof left !== 'string' || typeof right !== 'string')
      throw new Error(`its merge ${rank} is no pair of tokens`);
    const [a, b] = [ids.get(left), ids.get(right)];
    const id = ids.get(left + right.slice(prefix.length));
    if (a === undefined || b === undefined || id === undefined || Math.max(a, b, id) >= 2 ** 26)
      throw new Error(`its merge ${rank} is of tokens that are not in its vocabulary`);
    merges.set(pairOf(a, b), { rank, id });
  }
  return merges;
}

/** Merges neighbours, the earliest learnt pair first and of equal ones the leftmost. */
function mergeAll(symbols: number[], merges: ReadonlyMap<number, Merge>): readonly number[] {
  const n = symbols.length;
  if (n < 2) return symbols;
  const next = Int32Array.from(symbols, (_, i) => (i + 1 < n ? i + 1 : -1));
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const heap = new MergeHeap();
  const consider = (left: number): void => {
    if (left < 0 || next[left]! < 0) return;
    const merge = merges.get(pairOf(symbols[left]!, symbols[next[left]!]!));
    if (merge) heap.push(merge, left);
  };
  for (let i = 0; i < n - 1; i++) consider(i);
  for (let top = heap.pop(); top; top = heap.pop()) {
    const { merge, at } = top;
    const right = next[at]!;
    // What was pushed may be out of date: a neighbour has become part of another token.
    if (symbols[at]! < 0 || right < 0) continue;
    if (merges.get(pairOf(symbols[at]!, symbols[right]!))?.id !== merge.id) continue;
    symbols[at] = merge.id;
    symbols[right] = -1;
    next[at] = next[right]!;
    if (next[at] >= 0) previous[next[at]] = at;
    consider(previous[at]!);
    consider(at);
  }
  return symbols.filter((id) => id >= 0);
}

/** Merges that may be done, the first on top: a binary heap. */
class MergeHeap {
  readonly #merges: Merge[] = [];
  readonly #places: number[] = [];

  push(merge: Merge, at: number): void {
    let i = this.#merges.length;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(merge, at, parent)) break;
      this.#move(parent, i);
      i = parent;
    }
    this.#put(i, merge, at);
  }

  pop(): { merge: Merge; at: number } | undefined {
    if (this.#merges.length === 0) return undefined;
    const top = { merge: this.#merges[0]!, at: this.#places[0]! };
    const merge = this.#merges.pop()!;
    const at = this.#places.pop()!;
    const n = this.#merges.length;
    if (n === 0) return top;
    let i = 0;
    for (let child = 1; child < n; child = 2 * i + 1) {
      if (child + 1 < n && this.#isBefore(this.#merges[child + 1]!, this.#places[child + 1]!, child)) child++;
      if (this.#isBefore(merge, at, child)) break;
      this.#move(child, i);
      i = child;
    }
    this.#put(i, merge, at);
    return top;
  }

  #isBefore({ rank }: Merge, at: number, other: number): boolean {
    const difference = rank - this.#merges[other]!.rank;
    return difference < 0 || (difference === 0 && at < this.#places[other]!);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#merges[from]!, this.#places[from]!);
  }

  #put(i: number, merge: Merge, at: number): void {
    this.#merges[i] = merge;
    this.#places[i] = at;
  }
}
