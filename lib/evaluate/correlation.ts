import { invalidArgument } from '../errors.js';

/**
 * Pearson's correlation of paired numbers, as `scipy.stats.pearsonr`: −1 … 1, `NaN` where one side is constant or has a
 * value that is not finite.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` for less than two pairs, or lists that differ in length
 */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  checkPairs(a, b);
  if (isConstant(a) || isConstant(b)) return NaN;
  const [x, y] = [centred(a), centred(b)];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return Math.max(-1, Math.min(1, sum)); // NaN stays NaN
}

/**
 * Spearman's rank correlation, as `scipy.stats.spearmanr`: Pearson's of the ranks, where equal values share the mean of
 * theirs; `NaN` where one side is constant or has `NaN`.
 * @throws FlatrankError as {@link pearson}
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  checkPairs(a, b);
  return pearson(averageRanks(a), averageRanks(b));
}

/** (n) ranks from 1, equal values sharing the mean of theirs, as `scipy.stats.rankdata`; all `NaN` where a value is. */
export function averageRanks(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  const sorted = Float64Array.from(values).sort();
  if (n > 0 && Number.isNaN(sorted[n - 1]!)) return new Float64Array(n).fill(NaN);
  const ranks = new Map<number, number>();
  for (let first = 0, end = 0; first < n; first = end) {
    while (end < n && sorted[end] === sorted[first]) end++;
    ranks.set(sorted[first]!, (first + 1 + end) / 2);
  }
  return Float64Array.from(values, (value) => ranks.get(value)!);
}

function checkPairs(a: ArrayLike<number>, b: ArrayLike<number>): void {
  for (const [name, values] of Object.entries({ a, b }))
    if (typeof values !== 'object' || values === null || !Number.isInteger(values.length))
      throw invalidArgument(name, 'an array of numbers', values);
  if (a.length < 2) throw invalidArgument('a', 'two numbers at least', a);
  if (a.length !== b.length) throw invalidArgument('b', `${a.length} numbers, as many as \`a\``, b);
}

function isConstant(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}

/** `values` less their mean, scaled to length 1. */
function centred(values: ArrayLike<number>): Float64Array {
  const result = Float64Array.from(values);
  const mean = result.reduce((sum, value) => sum + value, 0) / result.length;
  // The largest is taken out first, so that no square overflows or vanishes.
  const largest = result.reduce((most, value) => Math.max(most, Math.abs(value - mean)), 0);
  let squares = 0;
  for (let i = 0; i < result.length; i++) {
    result[i] = (result[i]! - mean) / largest;
    squares += result[i]! ** 2;
  }
  const norm = Math.sqrt(squares);
  return result.map((value) => value / norm);
}
