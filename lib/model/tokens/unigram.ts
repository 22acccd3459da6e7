import { z } from 'zod';
import { byteIds, type Tokenize } from './vocabulary.js';

export const unigramConfig = z.looseObject({
  type: z.literal('Unigram'),
  vocab: z.array(z.unknown()).min(1),
  unk_id: z.number().int().nonnegative(),
  byte_fallback: z.boolean().nullish(),
});

/** How much less than the least likely token an unknown character is worth. */
const unknownPenalty = 10;

/**
 * Unigram language model (Kudo 2018, https://arxiv.org/abs/1804.10959): the likeliest sequence of tokens, by Viterbi's
 * algorithm. Linear in the length of the text.
 */
export function unigram(config: z.output<typeof unigramConfig>): { ids: Map<string, number>; tokenize: Tokenize } {
  const { unk_id: unknown } = config;
  const scores = new Float64Array(config.vocab.length);
  const ids = new Map<string, number>();
  const trie = new Trie();
  for (const [id, entry] of config.vocab.entries()) {
    const [token, score] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof token !== 'string' || typeof score !== 'number') throw new Error(`its token ${id} has no score`);
    ids.set(token, id);
    scores[id] = score;
    trie.add(token, id);
  }
  if (unknown >= scores.length) throw new Error('its unknown token is not in its vocabulary');
  const unknownScore = scores.reduce((least, score) => Math.min(least, score)) - unknownPenalty;

  const tokenize = (text: string): readonly number[] => {
    const n = text.length;
    // Of the best way to each place: its score, and where its last token begins and which it is.
    const best = new Float64Array(n + 1).fill(-Infinity);
    const starts = new Int32Array(n + 1).fill(-1);
    const last = new Int32Array(n + 1);
    best[0] = 0;
    const offer = (start: number, end: number, id: number, score: number): void => {
      if (starts[end]! >= 0 && !(best[start]! + score > best[end]!)) return;
      best[end] = best[start]! + score;
      starts[end] = start;
      last[end] = id;
    };
    for (let start = 0; start < n;) {
      const character = isPair(text, start) ? 2 : 1;
      let single = false;
      let node = 0;
      for (let end = start; end < n;) {
        node = trie.step(node, text.charCodeAt(end++));
        if (node < 0) break;
        const id = trie.tokenAt(node);
        if (id < 0) continue;
        offer(start, end, id, scores[id]!);
        single ||= end === start + character;
      }
      if (!single) offer(start, start + character, unknown, unknownScore);
      start += character;
    }
    return path(text, starts, last);
  };

  /** The tokens of the best way; unknown characters in a row are one token, or their bytes. */
  const path = (text: string, starts: Int32Array, last: Int32Array): number[] => {
    const found: number[] = [];
    for (let end = text.length; end > 0;) {
      const stop = end;
      const id = last[end]!;
      end = starts[end]!;
      if (id !== unknown) {
        found.push(id);
        continue;
      }
      while (end > 0 && last[end] === unknown) end = starts[end]!;
      const piece = text.slice(end, stop);
      found.push(...(ids.has(piece) ? [ids.get(piece)!] : fallback(piece)).reverse());
    }
    return found.reverse();
  };
  const fallback = (piece: string): number[] => (config.byte_fallback ? byteIds(ids, piece) : undefined) ?? [unknown];
  return { ids, tokenize };
}

const isPair = (text: string, at: number): boolean => text.codePointAt(at)! > 0xffff;

/** Tokens by their UTF-16 units. */
class Trie {
  /** The child of node n by unit u, under n · 2^16 + u. */
  readonly #children = new Map<number, number>();
  readonly #tokens: number[] = [-1];

  add(token: string, id: number): void {
    if (token === '') return;
    let node = 0;
    for (let i = 0; i < token.length; i++) {
      const key = node * 65_536 + token.charCodeAt(i);
      let child = this.#children.get(key);
      if (child === undefined) {
        child = this.#tokens.push(-1) - 1;
        this.#children.set(key, child);
      }
      node = child;
    }
    this.#tokens[node] = id;
  }

  /** The child of a node, -1 where it has none. */
  step(node: number, unit: number): number {
    return this.#children.get(node * 65_536 + unit) ?? -1;
  }

  /** The token that ends at a node, -1 where none does. */
  tokenAt(node: number): number {
    return this.#tokens[node]!;
  }
}
