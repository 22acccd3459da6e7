/** Splitting of long documents into passages that a model reads whole, with overlap. */
import { type Atom, breakAtom, isFinest } from '../data/atoms.js';
import type { TokenCounter } from '../data/index.js';
import { FlatrankError, checkInteger, checkObject, checkString, describe, invalidArgument } from '../errors.js';
import type { Passage } from './types.js';

/** Options of {@link splitText}, and of `Retriever.add` for splitting. */
export interface SplitTextOptions {
  /** The most tokens of a passage, special tokens included; what the model reads unless given. */
  maxTokens?: number;
  /** How many tokens at the end of a passage are, at most, at the beginning of the next one too; 0 unless given. */
  overlap?: number;
}

/** A passage with its text. */
export interface TextPassage extends Passage {
  text: string;
}

/** A text with more characters than this for each token allowed is broken without being counted first. */
const charactersPerToken = 32;

/**
 * Splits a text into passages of at most `maxTokens` tokens, as the counter counts them, at the ends of sentences where
 * they fit, else of words. Every word is in a passage; only a single character of more tokens than allowed makes one that
 * does not fit. A text that fits, or a blank one, is one passage.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where `maxTokens` leaves no room, or `overlap` is not below that room
 */
export async function splitText(
  text: string,
  counter: TokenCounter,
  options: SplitTextOptions = {},
): Promise<TextPassage[]> {
  checkString('text', text);
  const maxTokens = checkInteger(
    'maxTokens',
    checkObject('options', options).maxTokens ?? checkObject('counter', counter).maxSeqLength,
  );
  const overlap = checkInteger('overlap', options.overlap ?? 0, 0);
  const special = (await count(counter, ['']))[0]!;
  if (maxTokens <= special)
    throw invalidArgument('maxTokens', `more than the ${special} special tokens of a text`, maxTokens);
  if (overlap >= maxTokens - special)
    throw invalidArgument('overlap', `less than the ${maxTokens - special} tokens of a passage`, overlap);
  if (await fits(text, counter, maxTokens)) return [{ index: 0, start: 0, end: text.length, text }];

  const grain = overlap > 0 ? Math.ceil(overlap / 2) : maxTokens - special;
  const atoms = await atomsOf(text, counter, special, grain);
  // The tokens of a whole can be more than the sum over its parts: then there is less room than it seems.
  for (let room = maxTokens - special; ;) {
    const passages = pack(text, atoms, room, Math.min(overlap, room - 1));
    const counts = await count(
      counter,
      passages.map((passage) => passage.text),
    );
    const excess = Math.max(...counts) - maxTokens;
    if (excess <= 0 || room === 1) return passages;
    room = Math.max(1, room - excess);
  }
}

async function fits(text: string, counter: TokenCounter, maxTokens: number): Promise<boolean> {
  if (text.trim() === '') return true;
  if (text.length > maxTokens * charactersPerToken) return false;
  const [tokens] = await count(counter, [text]);
  return tokens! <= maxTokens;
}

/** The text in pieces of at most `grain` tokens that, joined, are the text. */
async function atomsOf(text: string, counter: TokenCounter, special: number, grain: number): Promise<Atom[]> {
  const block = { text, line: 1, kind: 'paragraph', headings: [] } as const;
  let atoms: Atom[] = [{ text, line: 1, column: 1, block, level: 0, begins: true, tokens: 0 }];
  const long = grain * charactersPerToken;
  for (;;) {
    const uncounted = atoms.filter((atom) => atom.tokens === 0 && (atom.text.length <= long || isFinest(atom)));
    const counts = await count(
      counter,
      uncounted.map((atom) => atom.text.trim()),
    );
    for (const [i, atom] of uncounted.entries()) atom.tokens = Math.max(1, counts[i]! - special);
    const isFine = (atom: Atom): boolean => atom.tokens > 0 && (atom.tokens <= grain || isFinest(atom));
    if (atoms.every(isFine)) return withoutBlank(atoms);
    atoms = atoms.flatMap((atom) => (isFine(atom) ? [atom] : breakAtom(atom, long)));
  }
}

/** Blank space joined to what it stands beside, so that every atom is something to read. */
function withoutBlank(atoms: readonly Atom[]): Atom[] {
  const joined: Atom[] = [];
  for (const atom of atoms) {
    const last = joined.at(-1);
    if (last && (atom.text.trim() === '' || last.text.trim() === ''))
      joined[joined.length - 1] = { ...atom, text: last.text + atom.text, tokens: Math.max(last.tokens, atom.tokens) };
    else joined.push(atom);
  }
  return joined;
}

/** Passages of whole atoms, each of at most `room` tokens by their sum, and at most `overlap` of them shared. */
function pack(text: string, atoms: readonly Atom[], room: number, overlap: number): TextPassage[] {
  const offsets = [0];
  for (const atom of atoms) offsets.push(offsets.at(-1)! + atom.text.length);
  const passages: TextPassage[] = [];
  for (let first = 0; first < atoms.length;) {
    let end = first;
    for (let tokens = 0; end < atoms.length && (end === first || tokens + atoms[end]!.tokens <= room); end++)
      tokens += atoms[end]!.tokens;
    const passage = cut(text, offsets[first]!, offsets[end]!, passages.length);
    if (passage) passages.push(passage);
    if (end === atoms.length) break;
    let next = end;
    for (let tokens = 0; next - 1 > first; next--) {
      tokens += atoms[next - 1]!.tokens;
      if (tokens > overlap || tokens + atoms[end]!.tokens > room) break;
    }
    first = next;
  }
  return passages;
}

/** Without the blank space around it; nothing where there is nothing else. */
function cut(text: string, from: number, to: number, index: number): TextPassage | undefined {
  const whole = text.slice(from, to);
  const start = from + (whole.length - whole.trimStart().length);
  const trimmed = whole.trim();
  return trimmed === '' ? undefined : { index, start, end: start + trimmed.length, text: trimmed };
}

async function count(counter: TokenCounter, texts: readonly string[]): Promise<Int32Array> {
  const counts = texts.length === 0 ? new Int32Array(0) : await counter.countTokens(texts);
  if (counts.length === texts.length) return counts;
  throw new FlatrankError(
    'ERR_INVALID_ARGUMENT',
    `Expected \`countTokens\` to count ${texts.length} texts but received ${describe(counts)}`,
  );
}
