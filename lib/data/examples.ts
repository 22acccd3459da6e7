import { checkArray, checkInteger, checkObject, checkString, describe, invalidArgument } from '../errors.js';
import { Generator } from '../random/index.js';
import { numberField, stringField, type FileRecord } from './record.js';
import { readRecords, type ReadRecordsOptions } from './records.js';
import { badFile } from './segments.js';

/** What training and evaluation read: texts that belong together, and what is said of them. */
export interface InputExample {
  /** Two texts, or more: anchor, positive, negatives. */
  texts: readonly string[];
  /** A score or class; without one where the texts say it all (MultipleNegativesRankingLoss). */
  label?: number;
}

/** Options of {@link readExamples}. */
export interface ReadExamplesOptions extends ReadRecordsOptions {
  /**
   * The fields that are the texts, in order. Unless given, the first of these lists whose fields the first record has:
   * anchor, positive, negative; anchor, positive; sentence1, sentence2; question1, question2; question, context; query, positive, negative; query,
   * positive; query, document; text1, text2; or one field `texts` that holds them as an array.
   */
  textFields?: readonly string[];
  /** The field that is the label; unless given, `score`, else `label`, where the first record has one. */
  labelField?: string;
  /** What labels are divided by, to come to 0 … 1: 5 for STS. 1 unless given. */
  maxLabel?: number;
}

const knownTexts = [
  ['anchor', 'positive', 'negative'],
  ['anchor', 'positive'],
  ['sentence1', 'sentence2'],
  ['question1', 'question2'],
  ['question', 'context'],
  ['query', 'positive', 'negative'],
  ['query', 'positive'],
  ['query', 'document'],
  ['text1', 'text2'],
  ['texts'],
];
const knownLabels = ['score', 'label'];

/**
 * Reads training examples from any file that {@link readRecords} reads.
 * @throws FlatrankError as {@link readRecords}; `ERR_BAD_FILE` also where a record lacks a field or holds something else
 *   there, naming file, line and column
 */
export async function* readExamples(
  path: string,
  options: ReadExamplesOptions = {},
): AsyncGenerator<InputExample, void, undefined> {
  let fields = checkObject('options', options).textFields === undefined ? undefined : checkNames(options.textFields);
  let label = options.labelField === undefined ? undefined : checkString('labelField', options.labelField);
  const { maxLabel = 1 } = options;
  if (!(typeof maxLabel === 'number' && maxLabel > 0)) throw invalidArgument('maxLabel', 'a number above 0', maxLabel);
  for await (const record of readRecords(path, options)) {
    const where = `${path}:${record.line}`;
    const has = (name: string): boolean => Object.hasOwn(record.fields, name);
    if (fields === undefined) {
      fields = knownTexts.find((names) => names.every(has));
      if (!fields) throw badFile(where, 'a record with two texts (`textFields` names them)', describeFields(record));
      label ??= knownLabels.find(has);
    }
    const texts =
      fields.length === 1 ? textList(where, record.fields, fields[0]!) : textsOf(where, record.fields, fields);
    yield label === undefined ? { texts } : { texts, label: numberField(where, record.fields, label) / maxLabel };
  }
}

/** A question and its paragraph as a positive example: what MultipleNegativesRankingLoss learns from. */
export function positivePairs(rows: readonly { question: string; context: string }[]): InputExample[] {
  return checkArray('rows', rows).map((row, i) => ({ texts: textFields(row, i, ['question', 'context']), label: 1 }));
}

/**
 * Examples for a cross-encoder: each question with its own paragraph (label 1), and with one that is not its own
 * (label 0), in turn.
 */
export function labelledPairs(
  rows: readonly { question: string; context: string; irrelevantContext: string }[],
): InputExample[] {
  return checkArray('rows', rows).flatMap((row, i) => [
    { texts: textFields(row, i, ['question', 'context']), label: 1 },
    { texts: textFields(row, i, ['question', 'irrelevantContext']), label: 0 },
  ]);
}

function textFields<K extends string>(row: Readonly<Record<K, string>>, i: number, names: readonly K[]): string[] {
  return names.map((name) => checkString(`rows[${i}].${name}`, checkObject(`rows[${i}]`, row)[name]));
}

/**
 * Gives each row the context of another one, drawn at random among the rows whose context is a different text.
 * @returns copies of the rows, in order, with `irrelevantContext`
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where all contexts are the same
 */
export function addIrrelevantContexts<T extends { context: string }>(
  rows: readonly T[],
  options: { seed?: number } = {},
): (T & { irrelevantContext: string })[] {
  checkArray('rows', rows, 'an array of rows with `context`');
  const seed = checkInteger('seed', checkObject('options', options).seed ?? 0, 0);
  const groups = new Map<string, number[]>();
  for (const [i, row] of rows.entries()) {
    const group = groups.get(checkString(`rows[${i}].context`, row?.context));
    if (group) group.push(i);
    else groups.set(row.context, [i]);
  }
  if (groups.size === 1) throw invalidArgument('rows', 'rows with two contexts at least', rows);

  // Rows of one context stand together, so that all others are one draw over what is before and behind them.
  const order = [...groups.values()].flat();
  const firsts = new Map<string, number>();
  let first = 0;
  for (const [context, group] of groups) {
    firsts.set(context, first);
    first += group.length;
  }
  const random = new Generator(seed);
  return rows.map((row) => {
    const own = groups.get(row.context)!.length;
    const drawn = random.integers(order.length - own);
    const other = order[drawn < firsts.get(row.context)! ? drawn : drawn + own]!;
    return { ...row, irrelevantContext: rows[other]!.context };
  });
}

function textsOf(where: string, fields: FileRecord['fields'], names: readonly string[]): string[] {
  return names.map((name) => stringField(where, fields, name));
}

function textList(where: string, fields: FileRecord['fields'], name: string): string[] {
  const value = fields[name];
  if (Array.isArray(value) && value.length > 1 && value.every((text) => typeof text === 'string')) return value;
  throw badFile(where, `a record with two strings or more in ${describe(name)}`, describe(value));
}

function describeFields({ fields }: FileRecord): string {
  return `one with ${Object.keys(fields).map(describe).join(', ')}`;
}

function checkNames(value: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(value) ? value : [];
  if (names.length > 0 && names.every((name) => typeof name === 'string')) return names;
  throw invalidArgument('textFields', 'an array of strings', value);
}
