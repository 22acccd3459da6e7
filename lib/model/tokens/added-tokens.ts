/** Tokens that are found in a text before it is normalized or cut: special ones, and what was added to a vocabulary. */
import { z } from 'zod';
import { space, word } from './characters.js';
import type { Normalize } from './normalizers.js';

export const addedTokenConfig = z.looseObject({
  id: z.number().int().nonnegative(),
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  special: z.boolean().default(false),
  normalized: z.boolean().optional(),
});
export type AddedToken = z.output<typeof addedTokenConfig>;

/** A part of a text: a token's id, or text between tokens. */
export type Part = number | string;

const isSpace = new RegExp(space, 'u');
const spacesAfter = new RegExp(`${space}*`, 'uy');
const wordBefore = new RegExp(`[${word}]$`, 'u');
const wordAfter = new RegExp(`[${word}]`, 'uy');

/** Finds added tokens in texts: the leftmost, and of those that begin there the longest. */
export class AddedTokens {
  readonly #tokens = new Map<string, AddedToken>();
  readonly #pattern: RegExp | undefined;

  /** @param normalize what a text has gone through where it is searched, so that the tokens must, too */
  constructor(tokens: readonly AddedToken[], normalize: Normalize = (text) => text) {
    for (const token of tokens) {
      const content = normalize(token.content);
      if (content !== '') this.#tokens.set(content, token);
    }
    const contents = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
    const source = contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|');
    this.#pattern = source === '' ? undefined : new RegExp(source, 'gu');
  }

  /** The parts of a text, none of them empty. */
  split(text: string): Part[] {
    if (!this.#pattern || text.search(this.#pattern) < 0) return text === '' ? [] : [text];
    const parts: Part[] = [];
    let from = 0;
    for (const { 0: content, index } of text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(content)!;
      let [start, end] = [index, index + content.length];
      if (start < from || (token.single_word && isInWord(text, start, end))) continue;
      if (token.lstrip) while (start > from && isSpace.test(text[start - 1]!)) start--;
      if (token.rstrip) end += matchAt(spacesAfter, text, end);
      if (start > from) parts.push(text.slice(from, start));
      parts.push(token.id);
      from = end;
    }
    if (from < text.length) parts.push(text.slice(from));
    return parts;
  }
}

function isInWord(text: string, start: number, end: number): boolean {
  return wordBefore.test(text.slice(Math.max(0, start - 2), start)) || matchAt(wordAfter, text, end) > 0;
}

/** Units that a sticky pattern matches at a place. */
function matchAt(sticky: RegExp, text: string, at: number): number {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0].length ?? 0;
}
