/**
 * Metadata by field instead of by document: every distinct value of a field once, and for each row which of them it has.
 * A filter then looks at each distinct value, and at one number a row.
 */
import { FlatrankError, describe } from '../errors.js';
import { type Bitmap, combine, inverted, makeBitmap } from './bitmap.js';
import type { FieldTest, FilterPlan } from './filter.js';

/** One field over rows. */
export interface Column {
  /** Its distinct values, as JSON has them. */
  readonly values: readonly unknown[];
  /** (rows) 0 where the row has no such field, else 1 + the position in `values`. */
  readonly codes: Uint32Array;
}

/** Where the columns of rows come from; undefined where no row has the field. */
export type ColumnSource = (field: string) => Promise<Column | undefined>;

/** Collects the values of one field, row by row. */
export class ColumnBuilder {
  readonly values: unknown[] = [];
  readonly #scalars = new Map<unknown, number>();
  readonly #others = new Map<string, number>();

  /** The code of a value that {@link jsonValue} gave. */
  codeOf(value: unknown): number {
    const scalar = typeof value !== 'object' || value === null;
    const [codes, key] = scalar
      ? [this.#scalars, value]
      : [this.#others as Map<unknown, number>, JSON.stringify(value)];
    const known = codes.get(key);
    if (known !== undefined) return known;
    codes.set(key, this.values.push(value));
    return this.values.length;
  }
}

/**
 * A value as it comes back from JSON: what a store would keep of it. Undefined where JSON leaves the field out.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` for what JSON cannot write
 */
export function jsonValue(value: unknown, name: string): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null; // + 0: JSON writes -0 as 0
  const json = toJson(value, name);
  return json === undefined ? undefined : (JSON.parse(json) as unknown);
}

/**
 * `value` as JSON, undefined where it has none (a function).
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` for what JSON cannot write: a bigint, a circle
 */
export function toJson(value: unknown, name: string): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0]! : describe(cause);
    throw new FlatrankError('ERR_INVALID_ARGUMENT', `Expected \`${name}\` to be written as JSON but: ${reason}`, {
      cause,
    });
  }
}

/** The first `rows` rows that a filter lets through. */
export async function selectRows(plan: FilterPlan, columns: ColumnSource, rows: number): Promise<Bitmap> {
  if (plan.kind === 'field') return selectByField(plan.test, await columns(plan.field), rows);
  if (plan.kind === 'not') return inverted(await selectRows(plan.part, columns, rows), rows);
  const parts: Bitmap[] = [];
  for (const part of plan.parts) parts.push(await selectRows(part, columns, rows));
  return combine(parts, plan.kind, rows);
}

function selectByField(test: FieldTest, column: Column | undefined, rows: number): Bitmap {
  if (!column) return makeBitmap(rows, test(undefined));
  const accepted = new Uint8Array(column.values.length + 1);
  accepted[0] = test(undefined) ? 1 : 0;
  for (const [i, value] of column.values.entries()) accepted[i + 1] = test(value) ? 1 : 0;
  const bitmap = makeBitmap(rows);
  const { codes } = column;
  for (let row = 0; row < rows; row++) bitmap[row >> 3]! |= accepted[codes[row]!]! << (row & 7);
  return bitmap;
}
