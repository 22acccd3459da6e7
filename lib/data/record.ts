import { describe } from '../errors.js';
import { badFile } from './segments.js';

/** One record of a file of records: a JSON object, a row of a table under its header, or a row of a Parquet file. */
export interface FileRecord {
  /** The line it begins on, from 1; in a Parquet file the number of the row. */
  line: number;
  /** Its fields by name. */
  fields: Record<string, unknown>;
}

/** Parses a JSON object that stands at `where` ("path:line"). */
export function parseObject(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // Not only SyntaxError: nesting deep enough is a RangeError.
    throw badFile(where, 'a JSON object', describe(text), cause);
  }
  if (!isObject(value)) throw badFile(where, 'a JSON object', describe(value));
  return value;
}

/** Whether `value` is an object with fields: neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field of the record at `where`; the error for a missing one names those there are. */
export function anyField(where: string, fields: Record<string, unknown>, name: string): unknown {
  if (Object.hasOwn(fields, name)) return fields[name];
  const names = Object.keys(fields).map((other) => describe(other));
  throw badFile(
    where,
    `a record with the field ${describe(name)}`,
    `one with ${names.slice(0, 20).join(', ') || 'no field'}`,
  );
}

/** A field that holds a string. */
export function stringField(where: string, fields: Record<string, unknown>, name: string): string {
  const value = anyField(where, fields, name);
  if (typeof value === 'string') return value;
  throw badFile(where, `a record with a string in ${describe(name)}`, describe(value));
}

/** A field that holds a finite number, as a number or in writing. */
export function numberField(where: string, fields: Record<string, unknown>, name: string): number {
  const value = anyField(where, fields, name);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw badFile(where, `a record with a number in ${describe(name)}`, describe(value));
}

/** A field that holds an id: a string that is not empty, or a number, which becomes one. */
export function idField(where: string, fields: Record<string, unknown>, name: string): string {
  const value = anyField(where, fields, name);
  if (typeof value === 'number' || (typeof value === 'string' && value !== '')) return String(value);
  throw badFile(where, `a record with a string or number in ${describe(name)}`, describe(value));
}
