import { FlatrankError, checkInteger } from '../errors.js';
import { native } from '../native.js';

/**
 * The process's thread budget: the environment variable FLATRANK_THREADS, else the processors that affinity and the
 * container allow. Every model and the native pool stay within it; idle threads sleep, after a millisecond at the most.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where FLATRANK_THREADS is not a positive integer
 */
export function threadBudget(): number {
  const value = process.env['FLATRANK_THREADS']?.trim();
  if (value === undefined || value === '') return native().cpuLimit;
  const threads = Number(value);
  if (!Number.isSafeInteger(threads) || threads < 1)
    throw new FlatrankError(
      'ERR_INVALID_ARGUMENT',
      `Expected the environment variable FLATRANK_THREADS to be a positive integer but received ${JSON.stringify(value)}`,
    );
  return threads;
}

/** Threads for one model: the budget, or the `threads` option where that is lower. */
export function modelThreads(threads: unknown): number {
  const budget = threadBudget();
  return threads === undefined ? budget : Math.min(checkInteger('threads', threads), budget);
}
