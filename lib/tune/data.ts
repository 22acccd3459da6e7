/** The rows of the road: split, and what each part may see of the others. */
import { addIrrelevantContexts, trainTestSplit } from '../data/index.js';
import { FlatrankError, invalidArgument } from '../errors.js';
import type { QuestionContext } from '../evaluate/index.js';
import type { TunePlan } from './options.js';
import { checkRows, contextsOf, readData, type Unsplit } from './read.js';
import { checksum } from './stages.js';
import type { TuneOptions } from './types.js';

/** Most rows that the weight of the blend is chosen by, unless asked for otherwise. */
const mostValidation = 200;

/** The rows of a run. */
export interface SplitRows {
  readonly train: readonly QuestionContext[];
  readonly validation: readonly QuestionContext[];
  readonly test: readonly QuestionContext[];
  /** All distinct contexts, the rows' and further ones. */
  readonly corpus: readonly string[];
  /** Of `train`, the rows whose contexts are no test or validation row's: what the cross-encoder may see. */
  readonly apart: readonly QuestionContext[];
  readonly duplicates: number;
  readonly sha256: string;
}

/**
 * Reads and splits the data.
 * @throws FlatrankError as the readers; `ERR_INVALID_ARGUMENT` where it is too little for the splits asked for
 */
export async function loadRows(o: TuneOptions, plan: TunePlan): Promise<SplitRows> {
  const given = await readData(o, plan);
  const { train: all, test, duplicates } = 'train' in given ? { ...given, duplicates: 0 } : splitTest(given, plan);
  const { train, validation } = given.validation
    ? { train: all, validation: given.validation }
    : splitValidation(all, plan);
  for (const [name, rows] of Object.entries({ train, validation, test })) checkRows(name, rows);
  const rows = [...train, ...validation, ...test];
  const corpus = [...new Set([...rows.flatMap(contextsOf), ...(given.corpus ?? [])])];
  if (corpus.length < 2) throw invalidArgument('data', 'rows with two contexts at least', corpus);
  const heldOut = new Set([...test, ...validation].flatMap(contextsOf));
  const sections = Object.entries({ train, validation, test }).flatMap(([name, part]) => [
    `${name} ${part.length}`,
    ...part.flatMap((row) => [row.question, ...contextsOf(row)]),
  ]);
  return {
    ...{ train, validation, test, corpus, duplicates },
    apart: train.filter((row) => !contextsOf(row).some((context) => heldOut.has(context))),
    sha256: checksum([...sections, ...corpus]),
  };
}

/** Rows that the cross-encoder learns from. @throws FlatrankError `ERR_INVALID_ARGUMENT` where there are none */
export function checkApart({ apart }: SplitRows): void {
  if (new Set(apart.map(({ context }) => context)).size >= 2) return;
  throw new FlatrankError(
    'ERR_INVALID_ARGUMENT',
    'Expected `data` to leave the cross-encoder training questions with two contexts that no test or validation question ' +
      "has, but it does not: a smaller `testSize`, or `splitBy: 'context'`, leaves more",
  );
}

/** Pairs of a question with its own and with another context, labelled 1 and 0: what scores are correlated with. */
export function scoredPairs(
  rows: readonly QuestionContext[],
  seed: number,
): { pair: readonly [string, string]; label: number }[] {
  if (new Set(rows.map(({ context }) => context)).size < 2) return [];
  return addIrrelevantContexts(rows, { seed }).flatMap(({ irrelevantContext, ...row }) => [
    { pair: [row.question, row.context] as const, label: 1 },
    { pair: [row.question, irrelevantContext] as const, label: Number(contextsOf(row).includes(irrelevantContext)) },
  ]);
}

/** Splits off the test rows. A row that was there already would be in both parts: it is left out first. */
function splitTest(
  { rows }: Unsplit,
  { testSize, seed, splitBy }: TunePlan,
): { train: readonly QuestionContext[]; test: readonly QuestionContext[]; duplicates: number } {
  const distinct = [...new Map(rows.map((row) => [JSON.stringify([row.question, row.context]), row])).values()];
  const duplicates = rows.length - distinct.length;
  if (splitBy === 'question') return { ...trainTestSplit(distinct, { testSize, seed }), duplicates };
  const groups = byContext(distinct);
  const { train, test } = trainTestSplit(groups, { testSize, seed });
  return { train: train.flat(), test: test.flat(), duplicates };
}

function splitValidation(
  rows: readonly QuestionContext[],
  { validationSize, seed, splitBy }: TunePlan,
): { train: readonly QuestionContext[]; validation: readonly QuestionContext[] } {
  const units = splitBy === 'question' ? rows.map((row) => [row]) : byContext(rows);
  const testSize = validationSize ?? Math.min(mostValidation, Math.max(1, Math.ceil(units.length / 10)));
  const { train, test } = trainTestSplit(units, { testSize, seed });
  return { train: train.flat(), validation: test.flat() };
}

/** The rows of each context, in the order of first appearance. */
function byContext(rows: readonly QuestionContext[]): QuestionContext[][] {
  const groups = new Map<string, QuestionContext[]>();
  for (const row of rows) {
    const group = groups.get(row.context);
    if (group) group.push(row);
    else groups.set(row.context, [row]);
  }
  return [...groups.values()];
}
