/** The language in which a search is told what to look at: conditions on metadata, checked and compiled. */
import { checkBoolean, describe, invalidArgument } from '../errors.js';

/** What metadata is compared with. */
export type FilterScalar = string | number | boolean | null;

/** What JSON has of a value: of a Date a string. */
type Written<T> = T extends { toJSON(): infer J } ? J : T;

/** The scalars that a field of this type can hold; of an array, those of its elements. */
type ScalarOf<T> = unknown extends T
  ? FilterScalar
  : Extract<Written<T extends readonly (infer E)[] ? E : T>, FilterScalar>;

/** Conditions on one field; all that are given have to hold. */
export interface FilterCondition<V extends FilterScalar = FilterScalar> {
  /** Equal to this. */
  eq?: V;
  /** Not equal to this; holds too where the field is missing. */
  ne?: V;
  /** Equal to one of these. */
  in?: readonly V[];
  /** Greater than this; numbers are compared with numbers, strings with strings (by UTF-16 units). */
  gt?: Extract<V, string | number>;
  gte?: Extract<V, string | number>;
  lt?: Extract<V, string | number>;
  lte?: Extract<V, string | number>;
  /** Whether the field is there at all; `null` is there. */
  exists?: boolean;
}

/**
 * Which documents a search looks at, by their metadata, before anything is compared: conditions on fields, of which all
 * have to hold, or `and`, `or`, `not` over filters. A scalar alone means `eq`. Where a field holds an array, a condition
 * holds where it holds for an element (`ne` where no element is equal). A missing field meets only `ne`, `exists: false` and `not`.
 */
export type Filter<M = Record<string, unknown>> =
  | { readonly [F in keyof M]?: ScalarOf<M[F]> | FilterCondition<ScalarOf<M[F]>> }
  | { readonly and: readonly Filter<M>[] }
  | { readonly or: readonly Filter<M>[] }
  | { readonly not: Filter<M> };

/** A filter, checked. */
export type FilterPlan =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly FilterPlan[]; readonly key: string }
  | { readonly kind: 'not'; readonly part: FilterPlan; readonly key: string }
  | { readonly kind: 'field'; readonly field: string; readonly test: FieldTest; readonly key: string };

/** Whether the value of a field meets a condition; undefined where the field is missing. */
export type FieldTest = (value: unknown) => boolean;

/** Filters inside filters: deeper ones are refused, so that none overflows the stack. */
const deepest = 64;

/**
 * Checks a filter. Plans with equal keys choose the same documents.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` that names the part
 */
export function compileFilter(filter: unknown, name = 'filter', depth = 0): FilterPlan {
  if (depth > deepest) throw invalidArgument(name, `at most ${deepest} filters deep`, filter);
  if (!isPlain(filter)) throw invalidArgument(name, 'an object of conditions on metadata', filter);
  // A field without a value is refused with all others: to leave the condition out would let every document through.
  const parts = Object.entries(filter).map(([key, value]) => compileEntry(key, value, `${name}.${key}`, depth));
  return parts.length === 1 ? parts[0]! : joined('and', parts);
}

/** Whether something is an object with fields of its own, and no Map or Date, which has none. */
const isPlain = (value: unknown): value is object => Object.prototype.toString.call(value) === '[object Object]';

function compileEntry(key: string, value: unknown, name: string, depth: number): FilterPlan {
  if (key === 'not') {
    const part = compileFilter(value, name, depth + 1);
    return { kind: 'not', part, key: `not(${part.key})` };
  }
  if (key !== 'and' && key !== 'or') return compileField(key, value, name);
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of filters', value);
  return joined(
    key,
    value.map((part, i) => compileFilter(part, `${name}[${i}]`, depth + 1)),
  );
}

function joined(kind: 'and' | 'or', parts: readonly FilterPlan[]): FilterPlan {
  return { kind, parts, key: `${kind}(${parts.map(({ key }) => key).join(',')})` };
}

function compileField(field: string, value: unknown, name: string): FilterPlan {
  const condition = isScalar(value) ? { eq: value } : value;
  if (!isPlain(condition))
    throw invalidArgument(name, 'a string, number, boolean, null or an object of conditions', value);
  const given = Object.entries(condition).filter(([, operand]) => operand !== undefined);
  if (given.length === 0) throw invalidArgument(name, 'at least one condition', value);
  const tests = given.map(([operator, operand]) => compileOperator(operator, operand, `${name}.${operator}`));
  const key = `${JSON.stringify(field)}:${given.map(([operator, operand]) => `${operator} ${keyOf(operand)}`).join('&')}`;
  const [first] = tests;
  const test: FieldTest = tests.length === 1 ? first! : (found) => tests.every((holds) => holds(found));
  return { kind: 'field', field, test, key };
}

function compileOperator(operator: string, operand: unknown, name: string): FieldTest {
  switch (operator) {
    case 'eq': {
      const wanted = checkScalar(name, operand);
      return anyElement((value) => value === wanted);
    }
    case 'ne': {
      const equal = compileOperator('eq', operand, name);
      return (value) => !equal(value);
    }
    case 'in': {
      if (!Array.isArray(operand)) throw invalidArgument(name, 'an array', operand);
      const wanted = new Set<unknown>(operand.map((one, i) => checkScalar(`${name}[${i}]`, one)));
      return anyElement((value) => wanted.has(value));
    }
    case 'exists': {
      const wanted = checkBoolean(name, operand);
      return (value) => (value !== undefined) === wanted;
    }
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return anyElement(compareWith(operator, checkOrdered(name, operand)));
    default:
      throw invalidArgument(name, 'one of the conditions eq, ne, in, gt, gte, lt, lte, exists', operand);
  }
}

function compareWith(operator: 'gt' | 'gte' | 'lt' | 'lte', bound: string | number): FieldTest {
  const type = typeof bound;
  const comparisons: Record<typeof operator, (value: string | number) => boolean> = {
    gt: (value) => value > bound,
    gte: (value) => value >= bound,
    lt: (value) => value < bound,
    lte: (value) => value <= bound,
  };
  const holds = comparisons[operator];
  return (value) => typeof value === type && holds(value as string | number);
}

/** Not for what is inside an element that is an array itself. */
function anyElement(test: FieldTest): FieldTest {
  return (value) => (Array.isArray(value) ? value.some(test) : test(value));
}

function isScalar(value: unknown): value is FilterScalar {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function checkScalar(name: string, value: unknown): FilterScalar {
  if (isScalar(value) && !Number.isNaN(value)) return value;
  throw invalidArgument(name, 'a string, number, boolean or null', value);
}

function checkOrdered(name: string, value: unknown): string | number {
  if (typeof value === 'string' || (typeof value === 'number' && !Number.isNaN(value))) return value;
  throw invalidArgument(name, 'a string or a number', value);
}

/** Numbers are written as they are: JSON has no infinite ones. */
function keyOf(operand: unknown): string {
  if (Array.isArray(operand)) return `[${operand.map(keyOf).join(',')}]`;
  return typeof operand === 'string' ? JSON.stringify(operand) : describe(operand);
}
