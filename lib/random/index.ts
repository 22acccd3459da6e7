/** numpy's random numbers: the same seed, the same numbers. */
export { Generator } from './generator.js';
export type { Seed } from './seed-sequence.js';
