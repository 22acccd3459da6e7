/**
 * SentencePiece's compiled map of characters, as XLM-R's tokenizer.json carries it: a double-array trie
 * (https://github.com/s-yata/darts-clone) over UTF-8 whose values are offsets into the replacements.
 */

/** Longest grapheme, in bytes, that is looked up whole. */
const longestWhole = 5;

/** Ranges of characters that are graphemes of their own unless another kind of character is beside them. */
const simpleRanges = [
  [0x20, 0x7e],
  [0x3041, 0x3096],
  [0x30a1, 0x30fa],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
] as const;
const escaped = (code: number): string => `\\u{${code.toString(16)}}`;
const simple = simpleRanges.map(([first, last]) => `${escaped(first)}-${escaped(last)}`).join('');
/** Other characters, with the simple ones beside them. */
const others = `[${simple}]?(?:[^${simple}]+[${simple}]?)+`;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** Characters that are cut into graphemes at a time: the time for a run grows with the square of its length. */
const windowUnits = 1024;
const utf8 = new TextEncoder();

function* graphemesOf(run: string): Generator<string, void, undefined> {
  for (let start = 0, size = windowUnits; start < run.length;) {
    const end = Math.min(run.length, start + size);
    const found = Array.from(graphemes.segment(run.slice(start, end)), ({ segment }) => segment);
    if (end < run.length) found.pop(); // it may go on
    size = found.length > 0 ? windowUnits : 2 * size;
    for (const grapheme of found) start += grapheme.length;
    yield* found;
  }
}

export class Precompiled {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  /** What single characters and short graphemes become, as far as they were met. */
  readonly #known = new Map<string, string | undefined>();
  /** What may change: all but the simple characters, and those of them that are mapped. */
  readonly #changing: RegExp;

  private constructor(units: Uint32Array, replacements: Uint8Array) {
    this.#units = units;
    this.#replacements = replacements;
    let mapped = '';
    for (const [first, last] of simpleRanges)
      for (let code = first; code <= last; code++)
        if (this.#look(String.fromCharCode(code)) !== undefined) mapped += escaped(code);
    this.#changing = new RegExp(mapped === '' ? others : `${others}|[${mapped}]`, 'gu');
  }

  /** @throws Error where the trie does not fit the bytes */
  static fromBase64(text: string): Precompiled {
    const bytes = Buffer.from(text, 'base64');
    const size = bytes.length >= 4 ? bytes.readUInt32LE(0) : 0;
    if (size === 0 || size % 4 !== 0 || 4 + size > bytes.length)
      throw new Error('its precompiled_charsmap is no character map');
    const units = Uint32Array.from({ length: size / 4 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
    return new Precompiled(units, bytes.subarray(4 + size));
  }

  normalize(text: string): string {
    return text.replace(this.#changing, (run) => {
      let normalized = '';
      for (const grapheme of graphemesOf(run)) normalized += this.#grapheme(grapheme);
      return normalized;
    });
  }

  #grapheme(grapheme: string): string {
    const whole = utf8.encode(grapheme).length <= longestWhole ? this.#remembered(grapheme) : undefined;
    if (whole !== undefined) return whole;
    let result = '';
    for (const character of grapheme) result += this.#remembered(character) ?? character;
    return result;
  }

  #remembered(piece: string): string | undefined {
    if (this.#known.has(piece)) return this.#known.get(piece);
    const found = this.#look(piece);
    if (this.#known.size < 65_536) this.#known.set(piece, found);
    return found;
  }

  /** The replacement of the shortest beginning of `piece` that the trie has: so the reference has it. */
  #look(piece: string): string | undefined {
    const units = this.#units;
    let node = offset(units[0]!);
    for (const byte of utf8.encode(piece)) {
      if (byte === 0) return undefined;
      node ^= byte;
      const unit = units[node];
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined;
      node ^= offset(unit);
      if ((unit >>> 8) & 1) {
        const value = units[node];
        return value === undefined ? undefined : this.#replacement(value & 0x7fffffff);
      }
    }
    return undefined;
  }

  #replacement(start: number): string | undefined {
    const end = this.#replacements.indexOf(0, start);
    if (start >= this.#replacements.length || end < 0) return undefined;
    return new TextDecoder().decode(this.#replacements.subarray(start, end));
  }
}

/** How far a unit's children are, by exclusive or. */
const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
