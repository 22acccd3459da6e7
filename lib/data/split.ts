/**
 * Running text cut into pieces that fit a model: at headings, then between paragraphs, sentences (lines of code),
 * words, and characters as the last resort; then packed up to the limit. What fits is the model's own count of tokens,
 * asked for many texts at a time.
 */
import { FlatrankError, checkInteger, checkObject, describe, invalidArgument } from '../errors.js';
import { type Atom, type Place, breakAtom, isFinest, placeBehind } from './atoms.js';
import type { TextBlock } from './blocks.js';

/** Counts tokens as a model does: what `SentenceTransformer` has. */
export interface TokenCounter {
  /** The most tokens of a text that the model reads, special tokens included. */
  readonly maxSeqLength: number;
  /** Tokens of each text (n), special tokens included, nothing cut off. */
  countTokens(texts: readonly string[]): Promise<Int32Array>;
}

/** A stretch of a text file that fits the model. */
export interface Piece {
  text: string;
  /** The line it begins on, from 1. */
  line: number;
  /** The column of that line it begins at, in UTF-16 units from 1. */
  column: number;
  /** The headings it stands under, outermost first. */
  headings: readonly string[];
}

/** Options of {@link splitBlocks}. */
export interface SplitOptions {
  /** The most tokens of a piece, special tokens included; the counter's `maxSeqLength` unless given. */
  maxTokens?: number;
}

/** Atoms packed into one piece, and the sum of their tokens. */
interface Pack {
  atoms: Atom[];
  tokens: number;
  headings: readonly string[];
}

const paragraphBreak = '\n\n';
/** Blocks that are counted together. */
const windowBlocks = 256;
/** A text with more characters than this for each token allowed is broken without being counted first. */
const charactersPerToken = 32;

/**
 * Splits the blocks of `readText` or `readMarkdown` into pieces of at most `maxTokens` tokens. Every heading begins a
 * new piece; headings without text of their own go with what follows them. No text is lost but the blank space between
 * pieces, and only a single character of more tokens than allowed makes a piece that does not fit.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where `maxTokens` leaves no room beside the special tokens
 */
export async function* splitBlocks(
  blocks: AsyncIterable<TextBlock> | Iterable<TextBlock>,
  counter: TokenCounter,
  options: SplitOptions = {},
): AsyncGenerator<Piece, void, undefined> {
  const maxTokens = checkInteger(
    'maxTokens',
    checkObject('options', options).maxTokens ?? checkObject('counter', counter).maxSeqLength,
  );
  const [special, withBreak] = await count(counter, ['', `a${paragraphBreak}a`, 'a a'], (counts) => [
    counts[0]!,
    Math.max(0, counts[1]! - counts[2]!),
  ]);
  const room = maxTokens - special;
  if (room < 1) throw invalidArgument('maxTokens', `more than the ${special} special tokens of a text`, maxTokens);

  const packer = new Packer(room, withBreak);
  let window: TextBlock[] = [];
  for await (const block of blocks) {
    window.push(block);
    if (window.length < windowBlocks) continue;
    yield* fitted(packer.add(await atomsOf(window, counter, special, room)), counter, maxTokens);
    window = [];
  }
  const last = packer.add(await atomsOf(window, counter, special, room));
  yield* fitted([...last, ...packer.end()], counter, maxTokens);
}

/** The blocks broken into atoms of at most `room` tokens, in order; each round breaks those that do not fit yet. */
async function atomsOf(
  blocks: readonly TextBlock[],
  counter: TokenCounter,
  special: number,
  room: number,
): Promise<Atom[]> {
  let atoms = blocks.map((block): Atom => {
    const { text, line } = block;
    return { text, line, column: 1, block, level: 0, begins: false, tokens: 0 };
  });
  for (;;) {
    const long = room * charactersPerToken;
    const uncounted = atoms.filter((atom) => atom.tokens === 0 && (atom.text.length <= long || isFinest(atom)));
    const texts = uncounted.map((atom) => atom.text.trim());
    await count(counter, texts, (counts) => {
      // At least 1, so that what is counted shows; an atom of blank space has no tokens of its own.
      for (const [i, atom] of uncounted.entries()) atom.tokens = Math.max(1, counts[i]! - special);
    });
    const fits = (atom: Atom): boolean => atom.tokens > 0 && (atom.tokens <= room || isFinest(atom));
    if (atoms.every(fits)) return atoms;
    atoms = atoms.flatMap((atom) => (fits(atom) ? [atom] : breakAtom(atom, long)));
  }
}

/** Fills pieces with atoms, in order, up to `room` tokens by the sum of their counts. */
class Packer {
  #open: Pack | undefined;
  /** Only headings so far: the next heading joins them. */
  #headingsOnly = false;

  constructor(
    readonly room: number,
    readonly breakTokens: number,
  ) {}

  add(atoms: readonly Atom[]): Pack[] {
    const full: Pack[] = [];
    for (const atom of atoms) {
      const open = this.#open;
      const previous = open?.atoms.at(-1);
      const tokens = atom.tokens + (previous && previous.block !== atom.block ? this.breakTokens : 0);
      const isHeading = atom.block.kind === 'heading';
      const begins = atom.begins || (isHeading && previous?.block !== atom.block);
      if (open && (!begins || this.#headingsOnly) && open.tokens + tokens <= this.room) {
        open.atoms.push(atom);
        open.tokens += tokens;
        open.headings = atom.block.headings;
      } else {
        if (open) full.push(open);
        this.#open = { atoms: [atom], tokens: atom.tokens, headings: atom.block.headings };
      }
      this.#headingsOnly = isHeading && (this.#open!.atoms.length === 1 || this.#headingsOnly);
    }
    return full;
  }

  end(): Pack[] {
    return this.#open ? [this.#open] : [];
  }
}

/**
 * The pieces of `packs`. Tokens of a whole can be more than the sum over its parts, so the wholes are counted too, and
 * those that do not fit are halved.
 */
async function* fitted(
  packs: readonly Pack[],
  counter: TokenCounter,
  maxTokens: number,
): AsyncGenerator<Piece, void, undefined> {
  let tried = packs.map((pack) => ({ pack, fits: false }));
  for (;;) {
    const open = tried.filter(({ fits }) => !fits);
    if (open.length === 0) break;
    const texts = open.map(({ pack }) => textOf(pack.atoms).text);
    await count(counter, texts, (counts) => {
      for (const [i, entry] of open.entries()) entry.fits = counts[i]! <= maxTokens || entry.pack.atoms.length === 1;
    });
    tried = tried.flatMap((entry) => {
      if (entry.fits) return [entry];
      const { atoms } = entry.pack;
      const half = atoms.length >> 1;
      return [atoms.slice(0, half), atoms.slice(half)].map((part) => ({
        pack: { atoms: part, tokens: 0, headings: part.at(-1)!.block.headings },
        fits: false,
      }));
    });
  }
  for (const { pack } of tried) {
    const { text, line, column } = textOf(pack.atoms);
    if (text !== '') yield { text, line, column, headings: pack.headings };
  }
}

function textOf(atoms: readonly Atom[]): Place & { text: string } {
  const joined = atoms
    .map((atom, i) => (i > 0 && atoms[i - 1]!.block !== atom.block ? paragraphBreak : '') + atom.text)
    .join('');
  const text = joined.trimStart();
  const skipped = joined.slice(0, joined.length - text.length);
  return { text: text.trimEnd(), ...placeBehind(atoms[0]!, skipped) };
}

async function count<T>(counter: TokenCounter, texts: readonly string[], use: (counts: Int32Array) => T): Promise<T> {
  const counts = texts.length === 0 ? new Int32Array(0) : await counter.countTokens(texts);
  if (counts.length !== texts.length)
    throw new FlatrankError(
      'ERR_INVALID_ARGUMENT',
      `Expected \`countTokens\` to count ${texts.length} texts but received ${describe(counts)}`,
    );
  return use(counts);
}
