/** Patterns of a tokenizer.json, and cutting of a text by them. */
import * as tokenizers from '@huggingface/tokenizers';
import { z } from 'zod';

/** The part of the library that is used here (its own types do not resolve in Node's module resolution). */
const { SplitPreTokenizer } = tokenizers as unknown as {
  SplitPreTokenizer: new (config: object) => { pattern: RegExp | null };
};

/** A string that is taken literally, or a regular expression in Oniguruma's syntax. */
export const stringPattern = z.union([
  z.strictObject({ String: z.string().min(1) }),
  z.strictObject({ Regex: z.string().min(1) }),
]);

/** What becomes of the places that match, by the names of the `tokenizers` library. */
export const splitBehavior = z.enum(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
export type SplitBehavior = z.output<typeof splitBehavior>;

/**
 * A pattern as a regular expression of JavaScript, global. @huggingface/tokenizers knows how Oniguruma's differ.
 * @throws Error where it is none
 */
export function regExpOf(config: z.output<typeof stringPattern>): RegExp {
  const { pattern } = new SplitPreTokenizer({ pattern: config, invert: true });
  if (pattern === null) throw new Error('it has a pattern that is not known');
  return pattern;
}

/** Cuts a text at what matches `found`, or with `invert` at what does not. No piece is empty. */
export function split(text: string, found: RegExp, behavior: SplitBehavior, invert = false): string[] {
  const parts: { text: string; match: boolean }[] = [];
  const push = (part: string, match: boolean): void => {
    if (part !== '') parts.push({ text: part, match: match !== invert });
  };
  let end = 0;
  for (const { 0: match, index } of text.matchAll(found)) {
    push(text.slice(end, index), false);
    push(match, true);
    end = index + match.length;
  }
  push(text.slice(end), false);
  if (behavior === 'Removed') return parts.filter(({ match }) => !match).map((part) => part.text);
  if (behavior === 'Isolated') return parts.map((part) => part.text);
  const next = behavior === 'MergedWithNext';
  if (next) parts.reverse();
  const pieces: string[] = [];
  let previous = false;
  for (const { text: part, match } of parts) {
    const joins = behavior === 'Contiguous' ? match === previous : match && !previous;
    if (!joins || pieces.length === 0) pieces.push(part);
    else pieces.push(next ? part + pieces.pop()! : pieces.pop()! + part);
    previous = match;
  }
  return next ? pieces.reverse() : pieces;
}
