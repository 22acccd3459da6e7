import type { TextBlock } from './blocks.js';
import { countLineFeeds } from './segments.js';

/** A stretch of one block, the unit that pieces are packed from. The atoms of a block, joined, are its text. */
export interface Atom {
  text: string;
  /** The line it begins on, from 1. */
  line: number;
  /** The column of that line it begins at, in UTF-16 units from 1. */
  column: number;
  block: TextBlock;
  /** How finely the block was broken: 0 the block, 1 sentences, 2 words, 3 and above parts of a word. */
  level: number;
  /** Whether it is the first part of what had to be broken: it begins a piece, so that its parts stay together. */
  begins: boolean;
  /** Its tokens without special tokens, at least 1; 0 while they are not counted. */
  tokens: number;
}

const sentences = new Intl.Segmenter(undefined, { granularity: 'sentence' });

/** Whether an atom cannot be broken any more: it is one code point. */
export function isFinest(atom: Atom): boolean {
  return atom.text.length <= 1 || (atom.text.length === 2 && atom.text.codePointAt(0)! > 0xffff);
}

/**
 * The next finer atoms of one that does not fit: at least two where it has more than one code point, so that breaking
 * ends. A word of more than `longWord` characters is cut into parts of that length at once, a shorter one in half.
 */
export function breakAtom(atom: Atom, longWord: number): Atom[] {
  for (let level = atom.level + 1; level <= 2; level++) {
    const texts = level === 1 ? toSentences(atom) : toWords(atom.text);
    if (texts.length > 1) return toAtoms(atom, texts, level);
  }
  return toAtoms(atom, toParts(atom.text, Math.min(longWord, Math.ceil(atom.text.length / 2))), atom.level + 3);
}

function toSentences(atom: Atom): string[] {
  if (atom.block.kind === 'code') return atom.text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  return Array.from(sentences.segment(atom.text), ({ segment }) => segment);
}

/** Words with the blank space before them, as tokenizers that mark word beginnings count them; the last takes the rest. */
function toWords(text: string): string[] {
  return text.match(/\s*\S+(?:\s+$)?/g) ?? [];
}

function toParts(text: string, length: number): string[] {
  const parts: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(text.length, start + length);
    // Not between the halves of a surrogate pair; and never the whole text, or breaking would not end.
    if (end < text.length && text.codePointAt(end - 1)! > 0xffff) end += end - 1 > start ? -1 : 1;
    parts.push(text.slice(start, end));
    start = end;
  }
  return parts;
}

function toAtoms(atom: Atom, texts: readonly string[], level: number): Atom[] {
  let place: Place = { line: atom.line, column: atom.column };
  return texts.map((text, i) => {
    const part: Atom = { ...atom, ...place, text, level, begins: i === 0, tokens: 0 };
    place = placeBehind(place, text);
    return part;
  });
}

/** Line and column of a text, both from 1. */
export interface Place {
  line: number;
  column: number;
}

/** Where a text ends that begins at `place`. */
export function placeBehind({ line, column }: Place, text: string): Place {
  const feed = text.lastIndexOf('\n');
  if (feed === -1) return { line, column: column + text.length };
  return { line: line + countLineFeeds(text), column: text.length - feed };
}
