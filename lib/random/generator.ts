import { checkInteger, invalidArgument } from '../errors.js';
import { Pcg64 } from './pcg64.js';
import type { Seed } from './seed-sequence.js';

/**
 * The part of `numpy.random.default_rng(seed)` that flatrank needs: the same seed gives the same numbers as in numpy.
 * https://numpy.org/doc/stable/reference/random/generator.html
 */
export class Generator {
  readonly #bits: Pcg64;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` where `seed` is not made of integers of at least 0 */
  constructor(seed: Seed) {
    this.#bits = new Pcg64(seed);
  }

  /** A number of 53 bits in [0, 1): numpy's `random()`. */
  random(): number {
    return Number(this.#bits.nextUint64() >> 11n) / 2 ** 53;
  }

  /**
   * An integer in [0, high): numpy's `integers(high)`.
   * @param high at most 2^53 − 1
   */
  integers(high: number): number {
    checkInteger('high', high);
    const range = high - 1;
    if (range === 0) return 0;
    if (range === 0xffffffff) return this.#bits.nextUint32();
    return range < 0xffffffff ? this.#below32(high) : this.#below64(BigInt(high));
  }

  /** The integers 0 … n − 1 in random order: numpy's `permutation(n)`. */
  permutation(n: number): Int32Array {
    if (checkInteger('n', n, 0) > 0x7fffffff) throw invalidArgument('n', 'below 2^31', n);
    return this.shuffle(Int32Array.from({ length: n }, (_, i) => i));
  }

  /** Shuffles `values` in place: numpy's `shuffle` of an array of one dimension. */
  shuffle<T extends Int32Array | unknown[]>(values: T): T {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.#upTo(i);
      const value = values[i];
      values[i] = values[j];
      values[j] = value;
    }
    return values;
  }

  /** An integer in [0, max], max below 2^32, as numpy draws it for shuffling: the fewest bits that hold it, until it fits. */
  #upTo(max: number): number {
    const unused = Math.clz32(max);
    for (;;) {
      const drawn = (this.#bits.nextUint32() << unused) >>> unused;
      if (drawn <= max) return drawn;
    }
  }

  /** Lemire 2019, https://arxiv.org/abs/1805.10941, over 32 bits, for `high` below 2^32. */
  #below32(high: number): number {
    const low32 = (): { product: bigint; low: number } => {
      const product = BigInt(this.#bits.nextUint32()) * BigInt(high);
      return { product, low: Number(product & 0xffffffffn) };
    };
    let drawn = low32();
    if (drawn.low < high) {
      const threshold = (0x100000000 - high) % high;
      while (drawn.low < threshold) drawn = low32();
    }
    return Number(drawn.product >> 32n);
  }

  /** The same over 64 bits. */
  #below64(high: bigint): number {
    const threshold = ((1n << 64n) - high) % high;
    for (;;) {
      const product = this.#bits.nextUint64() * high;
      if (BigInt.asUintN(64, product) >= threshold) return Number(product >> 64n);
    }
  }
}
