import { describe, expect, it } from 'vitest';
import { pieces } from '../../dist/model/long-text.js';
import { keep, longestFirst } from '../../dist/model/truncation.js';

describe('longest first', () => {
  it.each([
    [3, 4, 10, [3, 4]], // fits
    [5, 5, 10, [5, 5]], // fits exactly
    [2, 20, 10, [2, 8]], // only the longer is cut
    [20, 2, 10, [8, 2]],
    [7, 20, 10, [5, 5]], // the shorter is more than half
    [20, 7, 10, [5, 5]],
    [6, 20, 11, [5, 6]], // an odd token goes to the longer
    [20, 6, 11, [6, 5]],
    [20, 20, 11, [5, 6]], // to the second where they are equal
    [30, 20, 11, [6, 5]], // both longer than everything
    [5, 20, 10, [5, 5]],
    [0, 20, 10, [0, 10]],
    [20, 20, 0, [0, 0]],
    [20, 20, 1, [0, 1]],
  ])('%i and %i in %i', (a, b, max, kept) => {
    expect(longestFirst(a, b, max)).toEqual(kept);
  });
});

it('keeps either end', () => {
  expect(keep([1, 2, 3], 2, 'right')).toEqual([1, 2]);
  expect(keep([1, 2, 3], 2, 'left')).toEqual([2, 3]);
  expect(keep([1, 2, 3], 0, 'left')).toEqual([]);
  expect(keep([1, 2, 3], 3, 'right')).toEqual([1, 2, 3]);
});

describe('pieces of long texts', () => {
  it('put together give the text, and begin at a word', () => {
    const text = 'some words,  and more. '.repeat(5000);
    const cut = [...pieces(text, true)];
    expect(cut.join('')).toBe(text);
    expect(cut.length).toBeGreaterThan(10);
    for (const piece of cut.slice(1)) expect(piece).toMatch(/^ \w/);
  });

  it('leave a run without spaces whole, or cut it between characters', () => {
    const text = '😀'.repeat(100_000);
    expect([...pieces(text, true)]).toHaveLength(1);
    const cut = [...pieces(text, false)];
    expect(cut.length).toBeGreaterThan(1);
    expect(cut.join('')).toBe(text);
    for (const piece of cut) expect(piece.isWellFormed()).toBe(true);
  });

  it('leave short texts alone', () => {
    expect([...pieces('', true)]).toEqual(['']);
    expect([...pieces('a b', false)]).toEqual(['a b']);
  });
});
