import type { InputExample } from '../data/index.js';
import { checkArray, checkInteger, checkObject, invalidArgument } from '../errors.js';

/** Checks that `value` is an array of strings, and copies it. */
export function checkTexts(name: string, value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of strings', value);
  const bad = value.findIndex((text) => typeof text !== 'string');
  if (bad !== -1) throw invalidArgument(`${name}[${bad}]`, 'a string', value[bad]);
  return [...(value as readonly string[])];
}

/** Checks that `value` is an array of `count` finite numbers, and copies it. */
export function checkNumbers(name: string, value: unknown, count: number): readonly number[] {
  const list = isArrayLike(value) ? Array.from(value) : undefined;
  if (list?.length !== count) throw invalidArgument(name, `an array of ${count} numbers, one for each pair`, value);
  const bad = list.findIndex((number) => !Number.isFinite(number));
  if (bad !== -1) throw invalidArgument(`${name}[${bad}]`, 'a finite number', list[bad]);
  return list as number[];
}

/** Checks that `value` is as long as the texts beside it. */
export function checkSameLength(name: string, value: readonly unknown[], count: number): void {
  if (value.length !== count) throw invalidArgument(name, `an array of ${count} texts, one for each pair`, value);
}

/** Checks that `value` is an array of pairs of strings, and copies it. */
export function checkPairs(name: string, value: unknown): readonly (readonly [string, string])[] {
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of pairs of strings', value);
  return value.map((pair: unknown, i) => {
    if (Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === 'string'))
      return [...(pair as [string, string])] as const;
    throw invalidArgument(`${name}[${i}]`, 'a pair of strings', pair);
  });
}

/** Checks that `value` is an array of examples of `count` texts at least, and returns it. */
export function checkExamples(name: string, value: readonly InputExample[], count: number): readonly InputExample[] {
  for (const [i, example] of checkArray(name, value, 'an array of examples').entries()) {
    const texts = checkTexts(`${name}[${i}].texts`, checkObject(`${name}[${i}]`, example).texts);
    if (texts.length < count) throw invalidArgument(`${name}[${i}].texts`, `${count} texts at least`, texts);
  }
  return value;
}

/** Checks that `value` is undefined or an array of positive integers. */
export function checkCounts(
  name: string,
  value: readonly number[] | undefined,
  fallback: readonly number[],
): readonly number[] {
  if (value === undefined) return fallback;
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of positive integers', value);
  return value.map((count: unknown, i) => checkInteger(`${name}[${i}]`, count));
}

/** `{ key: value }`, or nothing where there is no value: for options that must be left out rather than undefined. */
export function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);
}
