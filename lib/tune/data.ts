/** The rows of the road: read, split, and what each part may see of the others. */
import {
  addIrrelevantContexts,
  loadBeir,
  loadKlueMrc,
  loadKlueSts,
  loadKorQuad,
  readExamples,
  readRecords,
  trainTestSplit,
  type InputExample,
} from '../data/index.js';
import { datasetFiles } from '../data/source.js';
import { FlatrankError, invalidArgument } from '../errors.js';
import type { QuestionContext } from '../evaluate/index.js';
import type { TunePlan } from './options.js';
import { checksum } from './stages.js';
import type { TuneData, TuneOptions } from './types.js';

/** Most rows that the weight of the blend is chosen by, unless asked for otherwise. */
const mostValidation = 200;

/** Scores of STS go from 0 to this. */
const stsLabel = 5;

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

/** A row's own contexts. */
export function contextsOf({ context, alternatives = [] }: QuestionContext): string[] {
  return [context, ...alternatives];
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

/** Examples of similarity: with a label from 0 to 1. */
export async function loadSts(
  source: string | readonly InputExample[],
  signal: AbortSignal | undefined,
): Promise<readonly InputExample[]> {
  if (typeof source !== 'string') return source;
  const options = signal ? { signal } : {};
  const [file] = await datasetFiles(source, 'sts', options);
  if (await isKlue(file!))
    return (await loadKlueSts(source, options)).map(({ sentence1, sentence2, score }) => ({
      texts: [sentence1, sentence2],
      label: score,
    }));
  const examples: InputExample[] = [];
  for await (const example of readExamples(file!)) {
    signal?.throwIfAborted();
    if (example.label === undefined)
      throw new FlatrankError('ERR_BAD_FILE', `Expected ${file!} to have a score or label in each record`);
    examples.push(example);
  }
  const highest = examples.reduce((most, { label = 0 }) => Math.max(most, label), 0);
  return examples.map(({ texts, label }) => ({ texts, label: label! / (highest > 1 ? stsLabel : 1) }));
}

/** Whether a file's scores are objects, as KLUE has them. */
async function isKlue(file: string): Promise<boolean> {
  for await (const { fields } of readRecords(file)) return 'labels' in fields;
  return false;
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

type Unsplit = Pick<TuneData, 'validation' | 'corpus'> & { readonly rows: readonly QuestionContext[] };

async function readData(o: TuneOptions, plan: TunePlan): Promise<TuneData | Unsplit> {
  const { data, dataset = 'pairs', split, testSplit, signal } = o;
  if (typeof data !== 'string') return checkData(data);
  const partOf = (name: string | undefined) => ({
    ...(signal ? { signal } : {}),
    ...(name === undefined ? {} : { split: name }),
  });
  if (dataset === 'beir') return readBeir(data, split ?? 'train', testSplit ?? 'test', partOf);
  const load = (name: string | undefined): Promise<readonly QuestionContext[]> => {
    if (dataset === 'klue-mrc') return loadKlueMrc(data, partOf(name));
    if (dataset === 'korquad') return loadKorQuad(data, partOf(name));
    return readPairs(data, o, partOf(name));
  };
  const rows = await load(split);
  if (testSplit === undefined) return { rows };
  const { testSize, seed } = plan;
  const others = await load(testSplit);
  const test = o.testSize === undefined ? others : trainTestSplit(others, { testSize, seed }).test;
  return { train: rows, test };
}

async function readPairs(
  source: string,
  { textFields, signal }: TuneOptions,
  options: { split?: string },
): Promise<QuestionContext[]> {
  const rows: QuestionContext[] = [];
  for (const file of await datasetFiles(source, undefined, options))
    for await (const { texts, label } of readExamples(file, textFields ? { textFields } : {})) {
      signal?.throwIfAborted();
      // A pair with the label 0 is none.
      if (label === undefined || label > 0) rows.push({ question: texts[0]!, context: texts[1]! });
    }
  return rows;
}

/** A question a row and context it is judged by, of the training split; each test query once. */
async function readBeir(
  source: string,
  trainSplit: string,
  testSplit: string,
  partOf: (name: string) => { split?: string },
): Promise<TuneData> {
  const rowsOf = async (split: string): Promise<{ rows: QuestionContext[]; corpus: string[] }> => {
    const { corpus, queries, qrels } = await loadBeir(source, partOf(split));
    const texts = new Map([...corpus].map(([id, { title, text }]) => [id, `${title} ${text}`.trim()]));
    const rows = [...qrels].flatMap(([query, judged]) => {
      const question = queries.get(query);
      const own = [...judged].flatMap(([id, relevance]) => (relevance > 0 ? (texts.get(id) ?? []) : []));
      if (question === undefined || own.length === 0) return [];
      return [{ question, context: own[0]!, alternatives: own.slice(1) }];
    });
    return { rows, corpus: [...texts.values()] };
  };
  const [train, test] = [await rowsOf(trainSplit), await rowsOf(testSplit)];
  const pairs = train.rows.flatMap((row) => {
    const own = contextsOf(row);
    return own.map((context) => ({ ...row, context, alternatives: own.filter((other) => other !== context) }));
  });
  return { train: pairs, test: test.rows, corpus: train.corpus };
}

function checkData(data: unknown): TuneData | Unsplit {
  if (Array.isArray(data)) {
    checkRows('data', data as QuestionContext[]);
    return { rows: data as QuestionContext[] };
  }
  const { train, test } = (data ?? {}) as Partial<TuneData>;
  if (Array.isArray(train) && Array.isArray(test)) return data as TuneData;
  throw invalidArgument('data', 'a path, an array of { question, context }, or { train, test }', data);
}

function checkRows(name: string, rows: readonly QuestionContext[]): void {
  if (!Array.isArray(rows) || rows.length === 0) throw invalidArgument(name, 'one row at least', rows);
  for (const [i, row] of rows.entries())
    for (const field of ['question', 'context'] as const)
      if (typeof row?.[field] !== 'string') throw invalidArgument(`${name}[${i}].${field}`, 'a string', row?.[field]);
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
