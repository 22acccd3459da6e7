/** Reading the data of the road. */
import {
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
import { checkArray, FlatrankError, invalidArgument } from '../errors.js';
import type { QuestionContext } from '../evaluate/index.js';
import type { TunePlan } from './options.js';
import type { TuneData, TuneOptions } from './types.js';

/** Scores of STS go from 0 to this. */
const stsLabel = 5;

/** A row's own contexts. */
export function contextsOf({ context, alternatives = [] }: QuestionContext): string[] {
  return [context, ...alternatives];
}

/** Rows that are to be split. */
export type Unsplit = Pick<TuneData, 'validation' | 'corpus'> & { readonly rows: readonly QuestionContext[] };

/**
 * Reads what `data` names.
 * @throws FlatrankError as the readers
 */
export async function readData(o: TuneOptions, plan: TunePlan): Promise<TuneData | Unsplit> {
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

/** @throws FlatrankError `ERR_INVALID_ARGUMENT` where there is no row, or one lacks a text */
export function checkRows(name: string, rows: readonly QuestionContext[]): void {
  if (checkArray(name, rows).length === 0) throw invalidArgument(name, 'one row at least', rows);
  for (const [i, row] of rows.entries())
    for (const field of ['question', 'context'] as const)
      if (typeof row?.[field] !== 'string') throw invalidArgument(`${name}[${i}].${field}`, 'a string', row?.[field]);
}

/** Examples of similarity: with a label from 0 to 1. */
export async function loadSts(
  source: string | readonly InputExample[],
  signal: AbortSignal | undefined,
): Promise<readonly InputExample[]> {
  if (typeof source !== 'string') return source;
  const options = signal ? { signal } : {};
  const files = await datasetFiles(source, 'sts', options);
  if (await isKlue(files[0]!))
    return (await loadKlueSts(source, options)).map(({ sentence1, sentence2, score }) => ({
      texts: [sentence1, sentence2],
      label: score,
    }));
  const examples: InputExample[] = [];
  for (const file of files)
    for await (const example of readExamples(file)) {
      signal?.throwIfAborted();
      if (example.label === undefined)
        throw new FlatrankError('ERR_BAD_FILE', `Expected ${file} to have a score or label in each record`);
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
