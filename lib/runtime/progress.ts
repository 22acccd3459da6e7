import { invalidArgument } from '../errors.js';

/** How far a call is: `done` of `total` texts. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** Called now and then while work goes on. What it throws is raised as an uncaught exception, not in the work. */
export type OnProgress = (progress: Progress) => void;

/** Checks that `value` is undefined or a function and returns it. */
export function checkCallback<T>(name: string, value: T | undefined): T | undefined {
  if (value !== undefined && typeof value !== 'function') throw invalidArgument(name, 'a function', value);
  return value;
}

/** Calls a caller's function so that an exception of its own cannot disturb the work it reports on. */
export function notify<A extends unknown[]>(callback: ((...args: A) => void) | undefined, ...args: A): void {
  if (callback === undefined) return;
  try {
    callback(...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
