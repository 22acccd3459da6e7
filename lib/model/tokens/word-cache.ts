import type { Tokenize } from './vocabulary.js';

/** Part of a longer string, a string of this length or more keeps all of it in memory. */
const sharedLength = 13;

/** Words of a generation, and the longest word that is kept, in UTF-16 units. */
const generationSize = 32_768;
const longestWord = 64;

/**
 * Remembers the tokens of words: most words of a text were met before. Two generations; what was not asked for while the
 * younger one filled up is forgotten.
 */
export class WordCache {
  readonly tokenize: Tokenize;
  #young = new Map<string, readonly number[]>();
  #old = new Map<string, readonly number[]>();

  constructor(tokenize: Tokenize) {
    this.tokenize = (word) => {
      const known = this.#young.get(word);
      if (known !== undefined) return known;
      if (word.length > longestWord) return tokenize(word);
      const ids = this.#old.get(word) ?? tokenize(word);
      if (this.#young.size >= generationSize) {
        this.#old = this.#young;
        this.#young = new Map();
      }
      this.#young.set(ownCopy(word), ids);
      return ids;
    };
  }
}

const ownCopy = (word: string): string =>
  word.length < sharedLength ? word : Buffer.from(word, 'utf16le').toString('utf16le');
