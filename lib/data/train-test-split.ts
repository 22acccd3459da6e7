import { randomInt } from 'node:crypto';
import { checkArray, checkBoolean, checkInteger, checkObject, invalidArgument } from '../errors.js';
import { Generator, type Seed } from '../random/index.js';

/** Options of {@link trainTestSplit}. */
export interface TrainTestSplitOptions {
  /**
   * Test rows: how many, or, below 1, which part of all, rounded up. Unless given, what `trainSize` leaves, or a quarter
   * where neither is given.
   */
  testSize?: number;
  /** Train rows: how many, or, below 1, which part of all, rounded down. Unless given, what the test rows leave. */
  trainSize?: number;
  /** The same seed gives the same split; a random one unless given. */
  seed?: Seed;
  /** Whether rows are shuffled first; true unless given. Otherwise the first rows are train. */
  shuffle?: boolean;
}

/**
 * Splits rows in two, row for row as `datasets.Dataset.train_test_split` does with the same sizes and seed: numpy's
 * permutation, of which the first rows are test and the next ones train.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` for sizes that leave no row or ask for more than there are
 */
export function trainTestSplit<T>(rows: readonly T[], options: TrainTestSplitOptions = {}): { train: T[]; test: T[] } {
  const { testSize, trainSize, seed, shuffle = true } = checkObject('options', options);
  checkArray('rows', rows);
  checkBoolean('shuffle', shuffle);
  const { trainCount, testCount } = countsOf(rows.length, testSize, trainSize);
  if (!shuffle) return { train: rows.slice(0, trainCount), test: rows.slice(trainCount, trainCount + testCount) };
  const order = new Generator(seed ?? randomInt(2 ** 48 - 1)).permutation(rows.length);
  const pick = (from: number, to: number): T[] => Array.from(order.subarray(from, to), (i) => rows[i]!);
  return { test: pick(0, testCount), train: pick(testCount, testCount + trainCount) };
}

function countsOf(
  n: number,
  testSize: number | undefined,
  trainSize: number | undefined,
): Record<'trainCount' | 'testCount', number> {
  const test = testSize ?? (trainSize === undefined ? 0.25 : undefined);
  const testGiven = test === undefined ? undefined : countOf('testSize', test, n, Math.ceil);
  const trainGiven = trainSize === undefined ? undefined : countOf('trainSize', trainSize, n, Math.floor);
  const testCount = testGiven ?? n - trainGiven!;
  const trainCount = trainGiven ?? n - testCount;
  if (trainCount + testCount > n)
    throw invalidArgument('trainSize', `such that test and train are at most ${n} rows`, trainSize);
  if (trainCount < 1) throw invalidArgument('testSize', `such that rows are left to train on, of ${n}`, testSize);
  return { trainCount, testCount };
}

function countOf(name: string, size: number, n: number, round: (part: number) => number): number {
  if (typeof size === 'number' && size > 0 && size < 1) return round(size * n);
  if (checkInteger(name, size) < n) return size;
  throw invalidArgument(name, `less than the ${n} rows there are`, size);
}
