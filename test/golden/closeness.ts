import { expect } from 'vitest';

/** Largest difference over the largest value of the row it is in. */
export function worst(actual: ArrayLike<number>, expected: readonly number[], cols: number): number {
  expect(actual.length).toBe(expected.length);
  let result = 0;
  for (let row = 0; row < expected.length; row += cols) {
    let scale = 0;
    let error = 0;
    for (let i = row; i < row + cols; i++) {
      scale = Math.max(scale, Math.abs(expected[i]!));
      error = Math.max(error, Math.abs(actual[i]! - expected[i]!));
    }
    result = Math.max(result, error / scale);
  }
  return result;
}
