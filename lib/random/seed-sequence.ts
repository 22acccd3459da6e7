import { invalidArgument } from '../errors.js';

/** What numpy's `default_rng` takes: a whole number that is not negative, or several of them. */
export type Seed = number | bigint | readonly (number | bigint)[];

const poolSize = 4;
const initA = 0x43b0d7e5;
const multA = 0x931e8875;
const initB = 0x8b51f9dd;
const multB = 0x58f38ded;
const mixLeft = 0xca01f9dd;
const mixRight = 0x4973f715;
const shift = 16;

/**
 * Spreads a seed over as many words as a generator needs, as `numpy.random.SeedSequence` (Melissa O'Neill's `seed_seq`
 * alternative, https://www.pcg-random.org/posts/developing-a-seed_seq-alternative.html). All arithmetic is modulo 2^32.
 */
export class SeedSequence {
  readonly #pool: Uint32Array;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` where `seed` is not made of whole numbers of at least 0 */
  constructor(seed: Seed) {
    this.#pool = mixEntropy(wordsOfSeed(seed));
  }

  /** (n) 32-bit words, the same ones at every call. */
  generateState(n: number): Uint32Array {
    let hash = initB;
    return Uint32Array.from({ length: n }, (_, i) => {
      let value = this.#pool[i % poolSize]! ^ hash;
      hash = Math.imul(hash, multB);
      value = Math.imul(value, hash);
      return value ^ (value >>> shift);
    });
  }
}

function mixEntropy(entropy: readonly number[]): Uint32Array {
  const pool = new Uint32Array(poolSize);
  let hash = initA;
  const hashed = (word: number): number => {
    let value = word ^ hash;
    hash = Math.imul(hash, multA);
    value = Math.imul(value, hash);
    return value ^ (value >>> shift);
  };
  const mixed = (x: number, y: number): number => {
    const value = (Math.imul(mixLeft, x) - Math.imul(mixRight, y)) | 0;
    return value ^ (value >>> shift);
  };
  for (let i = 0; i < poolSize; i++) pool[i] = hashed(entropy[i] ?? 0);
  for (let from = 0; from < poolSize; from++)
    for (let to = 0; to < poolSize; to++) if (from !== to) pool[to] = mixed(pool[to]!, hashed(pool[from]!));
  for (const word of entropy.slice(poolSize))
    for (let to = 0; to < poolSize; to++) pool[to] = mixed(pool[to]!, hashed(word));
  return pool;
}

/** The 32-bit words of a seed, the lowest of each number first. */
function wordsOfSeed(seed: Seed): number[] {
  const numbers: readonly unknown[] = Array.isArray(seed) ? seed : [seed];
  return numbers.flatMap((value) => {
    const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
    if (!whole || (value as number | bigint) < 0)
      throw invalidArgument('seed', 'an integer of at least 0, or an array of them', value);
    const words: number[] = [];
    for (let rest = BigInt(value as number | bigint); rest > 0n; rest >>= 32n) words.push(Number(rest & 0xffffffffn));
    return words.length === 0 ? [0] : words;
  });
}
