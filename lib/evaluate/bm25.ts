import { checkInteger, checkObject, checkString, invalidArgument } from '../errors.js';
import { checkTexts } from './checks.js';

/** Options of {@link Bm25}. */
export interface Bm25Options {
  /** How fast a word's weight in a document levels off; 1.5 unless given. */
  k1?: number;
  /** How much longer documents are held back, from 0 to 1; 0.75 unless given. */
  b?: number;
}

/**
 * BM25 (Robertson and Zaragoza 2009, https://doi.org/10.1561/1500000019), the baseline that a model must beat: words are
 * runs of letters, digits and underscores in small letters; a word in n of N documents weighs ln(1 + (N − n + ½) / (n + ½)).
 */
export class Bm25 {
  /** For each word, the documents it is in and its weight there, in turn. */
  readonly #postings = new Map<string, number[]>();
  readonly #count: number;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(documents: readonly string[], options: Bm25Options = {}) {
    const { k1 = 1.5, b = 0.75 } = checkObject('options', options);
    if (typeof k1 !== 'number' || !(k1 >= 0)) throw invalidArgument('k1', 'a number of at least 0', k1);
    if (typeof b !== 'number' || !(b >= 0 && b <= 1)) throw invalidArgument('b', 'a number from 0 to 1', b);
    const words = checkTexts('documents', documents).map(wordsOf);
    this.#count = words.length;
    const averageLength = words.reduce((sum, { length }) => sum + length, 0) / words.length;
    for (const [document, list] of words.entries()) {
      const counts = new Map<string, number>();
      for (const word of list) counts.set(word, (counts.get(word) ?? 0) + 1);
      const length = k1 * (1 - b + (b * list.length) / averageLength);
      for (const [word, count] of counts) {
        const postings = this.#postings.get(word) ?? [];
        postings.push(document, (count * (k1 + 1)) / (count + length));
        this.#postings.set(word, postings);
      }
    }
  }

  /** The numbers and scores of the k best of the documents that share a word with a query, best first, equal ones in order. */
  search(query: string, k: number): { labels: Int32Array; scores: Float64Array } {
    checkString('query', query);
    checkInteger('k', k);
    const scores = new Map<number, number>();
    for (const word of wordsOf(query)) {
      const postings = this.#postings.get(word) ?? [];
      const frequency = postings.length / 2;
      const weight = Math.log(1 + (this.#count - frequency + 0.5) / (frequency + 0.5));
      for (let i = 0; i < postings.length; i += 2) {
        const document = postings[i]!;
        scores.set(document, (scores.get(document) ?? 0) + weight * postings[i + 1]!);
      }
    }
    const best = [...scores].sort(([i, a], [j, b]) => b - a || i - j).slice(0, k);
    return { labels: Int32Array.from(best, ([i]) => i), scores: Float64Array.from(best, ([, score]) => score) };
  }
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}\p{M}_]+/gu) ?? [];
}
