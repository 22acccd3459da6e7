/** The tokens of a batch as a training graph wants them: one stream, groups for attention, the ways between them. */
import type { Architecture } from '../encoders/index.js';
import { groupsOf, type Group } from './grouping.js';

/** The tokens of one text. */
export interface TextTokens {
  readonly ids: ArrayLike<number>;
  readonly typeIds: ArrayLike<number>;
}

/** A tensor to feed. */
export interface Feed {
  readonly data: BigInt64Array | Float32Array | Uint8Array;
  readonly shape: readonly number[];
}

/** Added to scores of places that hold no token. */
const hidden = -1e9;

/** Integers that fit 32 bits, both as they are looked up natively and as the graph takes them. */
class Integers {
  readonly values: Int32Array;

  constructor(values: Int32Array) {
    this.values = values;
  }

  feed(...shape: number[]): Feed {
    const data = new BigInt64Array(this.values.length);
    const words = new Int32Array(data.buffer);
    this.values.forEach((value, i) => (words[2 * i] = value));
    return { data, shape: shape.length > 0 ? shape : [data.length] };
  }
}

/** A batch of texts laid out for a graph of `groups` groups. */
export class TokenStream {
  /** Tokens of all texts. */
  readonly tokens: number;
  readonly texts: number;
  readonly #architecture: Architecture;
  readonly #texts: readonly TextTokens[];
  /** Texts, longest first. */
  readonly #order: readonly number[];
  readonly #starts: Int32Array;
  readonly #groups: readonly Group[];
  readonly #empty: number;

  constructor(texts: readonly TextTokens[], architecture: Architecture, groups: number) {
    this.#architecture = architecture;
    this.#texts = texts;
    this.texts = texts.length;
    const length = (i: number): number => texts[i]!.ids.length;
    this.#order = texts.map((_, i) => i).sort((a, b) => length(b) - length(a) || a - b);
    const lengths = this.#order.map(length);
    this.#starts = new Int32Array(texts.length + 1);
    for (const [k, tokens] of lengths.entries()) this.#starts[k + 1] = this.#starts[k]! + tokens;
    this.tokens = this.#starts[texts.length]!;
    this.#groups = groupsOf(lengths, groups);
    this.#empty = groups - this.#groups.length;
  }

  /** Sizes by the names that the graph's shapes have for them. */
  dims(): Map<string, number> {
    const places = this.#groups.map(({ count, places }) => count * places);
    const dims = new Map([
      ['T', this.tokens],
      ['B', this.texts],
      ['N', places.reduce((sum, n) => sum + n, this.#empty)],
      ['firsts', this.texts + this.#empty],
    ]);
    this.#groups.forEach(({ count, places: s }, k) =>
      dims
        .set(`n${k}`, count)
        .set(`s${k}`, s)
        .set(`N${k}`, count * s),
    );
    for (let k = this.#groups.length; k < this.#groups.length + this.#empty; k++)
      dims.set(`n${k}`, 1).set(`s${k}`, 1).set(`N${k}`, 1);
    return dims;
  }

  /** (T) ids of words, positions or token types, for looking rows up. */
  integers(name: 'ids' | 'positions' | 'types'): Int32Array {
    const { padId, positionsFrom } = this.#architecture;
    const values = new Int32Array(this.tokens);
    for (const [k, i] of this.#order.entries()) {
      const { ids, typeIds } = this.#texts[i]!;
      const at = this.#starts[k]!;
      let counted = 0;
      for (let t = 0; t < ids.length; t++) {
        const id = ids[t]!;
        if (name === 'ids') values[at + t] = id;
        else if (name === 'types') values[at + t] = typeIds[t]!;
        else values[at + t] = positionsFrom === 'zero' ? t : id === padId ? padId : padId + ++counted;
      }
    }
    return values;
  }

  /** What the graph's inputs called `names` are fed, those of other kinds left out. */
  feeds(names: Iterable<string>): Record<string, Feed> {
    const feeds: Record<string, Feed> = {};
    let ways: Record<string, Feed> | undefined;
    for (const name of names) {
      const feed = this.#feed(name) ?? (ways ??= { ...this.#places(), ...this.#rows() })[name];
      if (feed) feeds[name] = feed;
    }
    return feeds;
  }

  #feed(name: string): Feed | undefined {
    const [kind, index] = /^(shape|mask)_(\d+)$/.exec(name)?.slice(1) ?? [];
    if (kind !== undefined) return kind === 'shape' ? this.#shape(Number(index)) : this.#mask(Number(index));
    if (name === 'ids' || name === 'positions' || name === 'types') return new Integers(this.integers(name)).feed();
    return name === 'pool_mean' || name === 'pool_mean_sqrt_len' ? this.#pooling(name === 'pool_mean') : undefined;
  }

  /** The ways from tokens to places in the groups and back. */
  #places(): Record<string, Feed> {
    const sizes = [...this.#groups.map(({ count, places }) => count * places), ...Array<number>(this.#empty).fill(1)];
    const total = sizes.reduce((sum, n) => sum + n, 0);
    const blocks = new Int32Array(total);
    const real = new Float32Array(total);
    const back = new Int32Array(this.tokens);
    let at = 0;
    for (const { begin, count, places } of this.#groups)
      for (let k = begin; k < begin + count; k++) {
        const start = this.#starts[k]!;
        const length = this.#starts[k + 1]! - start;
        for (let s = 0; s < places; s++, at++) {
          blocks[at] = s < length ? start + s : start;
          if (s >= length) continue;
          real[at] = 1;
          back[start + s] = at;
        }
      }
    return {
      blocks: new Integers(blocks).feed(),
      block_rows: { data: real, shape: [total, 1] },
      block_sizes: new Integers(Int32Array.from(sizes)).feed(),
      back: new Integers(back).feed(),
    };
  }

  /** The texts' first tokens, and the order in which the texts came. Groups that are empty have one row each. */
  #rows(): Record<string, Feed> {
    const count = this.texts + this.#empty;
    const firstTokens = new Int32Array(count);
    const firstBack = new Int32Array(this.tokens);
    const firstRows = new Float32Array(this.tokens);
    const textRows = new Int32Array(this.texts);
    const rowTexts = new Int32Array(count);
    const realRows = new Float32Array(count);
    for (const [k, i] of this.#order.entries()) {
      const start = this.#starts[k]!;
      firstTokens[k] = start;
      firstBack[start] = k;
      firstRows[start] = 1;
      textRows[i] = k;
      rowTexts[k] = i;
      realRows[k] = 1;
    }
    const sizes = [...this.#groups.map((group) => group.count), ...Array<number>(this.#empty).fill(1)];
    return {
      first_tokens: new Integers(firstTokens).feed(),
      first_back: new Integers(firstBack).feed(),
      first_rows: { data: firstRows, shape: [this.tokens, 1] },
      first_sizes: new Integers(Int32Array.from(sizes)).feed(),
      text_rows: new Integers(textRows).feed(),
      row_texts: new Integers(rowTexts).feed(),
      real_rows: { data: realRows, shape: [count, 1] },
    };
  }

  #shape(k: number): Feed {
    const { count, places } = this.#groups[k] ?? { count: 1, places: 1 };
    return new Integers(Int32Array.of(count, places)).feed();
  }

  #mask(k: number): Feed {
    const group = this.#groups[k];
    if (!group) return { data: new Float32Array(1), shape: [1, 1, 1, 1] };
    const { begin, count, places } = group;
    const data = new Float32Array(count * places);
    for (let row = 0; row < count; row++) {
      const length = this.#starts[begin + row + 1]! - this.#starts[begin + row]!;
      data.fill(hidden, row * places + length, (row + 1) * places);
    }
    return { data, shape: [count, 1, 1, places] };
  }

  /** (texts, T) the weight of every token in its text's embedding. */
  #pooling(mean: boolean): Feed {
    const data = new Float32Array(this.texts * this.tokens);
    for (const [k, i] of this.#order.entries()) {
      const [start, end] = [this.#starts[k]!, this.#starts[k + 1]!];
      const length = end - start;
      data.fill(1 / (mean ? length : Math.sqrt(length)), i * this.tokens + start, i * this.tokens + end);
    }
    return { data, shape: [this.texts, this.tokens] };
  }
}
