import { SeedSequence, type Seed } from './seed-sequence.js';

const multiplier = 0x2360ed051fc65da44385df649fccf645n;
const mask64 = 0xffffffffffffffffn;

/**
 * PCG64, the bit generator behind numpy's `default_rng`: a 128-bit linear congruential generator whose output is the
 * XSL-RR permutation of its state (O'Neill 2014, https://www.pcg-random.org/paper.html).
 */
export class Pcg64 {
  #state: bigint;
  readonly #increment: bigint;
  /** The high half of the last 64 bits, where only the low one was used. */
  #half: number | undefined;

  constructor(seed: Seed) {
    const words = new SeedSequence(seed).generateState(8);
    const number128 = (at: number): bigint =>
      (BigInt(words[at + 1]!) << 96n) |
      (BigInt(words[at]!) << 64n) |
      (BigInt(words[at + 3]!) << 32n) |
      BigInt(words[at + 2]!);
    this.#increment = BigInt.asUintN(128, (number128(4) << 1n) | 1n);
    this.#state = BigInt.asUintN(128, this.#increment + number128(0));
    this.#step();
  }

  /** The next 64 bits. */
  nextUint64(): bigint {
    this.#step();
    const state = this.#state;
    const value = (state >> 64n) ^ (state & mask64);
    const rotation = state >> 122n;
    return BigInt.asUintN(64, (value >> rotation) | (value << (64n - rotation)));
  }

  /** The next 32 bits: the low half of 64 bits, then the high one. */
  nextUint32(): number {
    if (this.#half !== undefined) {
      const half = this.#half;
      this.#half = undefined;
      return half;
    }
    const value = this.nextUint64();
    this.#half = Number(value >> 32n);
    return Number(value & 0xffffffffn);
  }

  #step(): void {
    this.#state = BigInt.asUintN(128, this.#state * multiplier + this.#increment);
  }
}
