// Passages of words that mean little, and questions that name some of their words. A model of few pages of text has met a
// small part of its vocabulary; here it learns of every word that it is itself, whatever particle stands behind it.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Generator } from '../../dist/random/index.js';

const particles = '은 는 이 가 을 를 의 에 와 과 도 로 에서 으로 에게 까지 부터 이다'.split(' ');
const ending = new RegExp(`(?:${particles.join('|')})$`);
const tails = {
  ko: ['', '', '', '은?', '무엇인가?', '누구인가?', '뭐야', '뜻', '방법', '하는 법', '언제', '어디', '왜', '이유는?'],
  en: ['', '', '', 'what is', 'how to', 'who', 'where', 'when', 'why', 'which'],
};

export class Words {
  #seed;
  #random;
  #vocabulary;

  constructor(tokenizer, seed) {
    this.#seed = seed;
    this.#random = new Generator(seed);
    const { vocab } = JSON.parse(readFileSync(path.join(tokenizer, 'tokenizer.json'), 'utf8')).model;
    const pieces = Object.keys(vocab);
    const like = (pattern) => pieces.filter((piece) => pattern.test(piece));
    this.#vocabulary = {
      en: { words: like(/^[a-z]{3,}$/), rests: like(/^##[a-z]{2,}$/) },
      ko: { words: like(/^[가-힣]{2,}$/), rests: like(/^##[가-힣]{1,2}$/), syllables: like(/^[가-힣]$/) },
    };
  }

  /** Every English word of the vocabulary, and `count` lists of a few of them: the same whenever they are asked for. */
  english(count) {
    const { words } = this.#vocabulary.en;
    const random = new Generator(this.#seed);
    const word = () => words[random.integers(words.length)];
    const list = () => Array.from({ length: 2 + random.integers(8) }, word).join(' ');
    return [...words, ...Array.from({ length: count }, list)];
  }

  /** A passage from `text` with some of its words replaced, and a question that names some of the passage's. */
  pair(text, lang) {
    const words = text.split(/\s+/).filter((word) => word !== '');
    const length = Math.min(words.length, 12 + this.#random.integers(50));
    const start = this.#random.integers(words.length - length + 1);
    const passage = words.slice(start, start + length).map((word) => (this.#chance(0.35) ? this.#word(lang) : word));
    const count = Math.min(passage.length, 2 + this.#random.integers(5));
    const from = this.#random.integers(passage.length - count + 1);
    const places = this.#chance(0.5)
      ? Array.from({ length: count }, (_, i) => from + i)
      : [...this.#random.permutation(passage.length).subarray(0, count)].sort((a, b) => a - b);
    const named = places.map((place) => this.#asked(passage[place], lang));
    const tail = this.#pick(tails[lang]);
    const question = (lang === 'en' ? [tail, ...named] : [...named, tail]).filter((word) => word !== '').join(' ');
    return [question, passage.join(' ')];
  }

  /** A word as a question has it: without punctuation, and often with another particle or none. */
  #asked(word, lang) {
    const bare = word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '');
    if (lang === 'en' || this.#chance(0.4) || bare.length < 3) return bare;
    return bare.replace(ending, '') + (this.#chance(0.4) ? this.#pick(particles) : '');
  }

  #word(lang) {
    const { words, rests, syllables } = this.#vocabulary[lang];
    if (lang === 'en') return this.#pick(words) + (this.#chance(0.3) ? this.#pick(rests).slice(2) : '');
    const stem = this.#chance(0.6)
      ? this.#pick(words) + (this.#chance(0.2) ? this.#pick(rests).slice(2) : '')
      : Array.from({ length: 2 + this.#random.integers(2) }, () => this.#pick(syllables)).join('');
    return stem + (this.#chance(0.6) ? this.#pick(particles) : '');
  }

  #pick(list) {
    return list[this.#random.integers(list.length)];
  }

  #chance(probability) {
    return this.#random.random() < probability;
  }
}
