import { stat } from 'node:fs/promises';
import {
  loadBeir,
  loadKlueSts,
  loadKorQuad,
  readExamples,
  readJsonArray,
  readRecords,
  type BeirDataset,
  type FileRecord,
  type QuestionRow,
} from '../data/index.js';
import { endingOf } from '../data/records.js';
import { datasetFiles, listFiles } from '../data/source.js';
import { FlatrankError } from '../errors.js';

/** What `flatrank evaluate` measures on. */
export const taskKinds = ['sts', 'pairs', 'questions', 'beir'] as const;
export type TaskKind = (typeof taskKinds)[number];

/** How the data is to be read. */
export interface TaskSource {
  task?: TaskKind;
  split?: string;
  columns?: string[];
  texts?: string[];
  label?: string;
}

/** What paths of a dataset with several parts, as KLUE is, call the part of a task. */
const partOf: Partial<Record<TaskKind, string>> = { sts: 'sts', questions: 'mrc' };

/** Two texts and a score or label. */
export interface LabelledPair {
  texts: readonly [string, string];
  label: number;
}

/** Data read whole; `size` is the number of pairs, questions or judged queries. */
export type Task = { size: number } & (
  | { kind: 'sts' | 'pairs'; pairs: LabelledPair[] }
  | { kind: 'questions'; rows: QuestionRow[] }
  | { kind: 'beir'; dataset: BeirDataset }
);

/**
 * Reads the data of an evaluation; what it is, its shape tells unless `source.task` does.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_UNSUPPORTED`, `ERR_BAD_FILE`
 */
export async function loadTask(data: string, source: TaskSource, signal: AbortSignal): Promise<Task> {
  const options = { signal, ...(source.split === undefined ? {} : { split: source.split }) };
  if (source.task === 'beir' || (source.task === undefined && (await isBeir(data)))) {
    const dataset = await loadBeir(data, options);
    const judged = [...dataset.qrels].filter(([query]) => dataset.queries.has(query));
    return { kind: 'beir', size: judged.length, dataset };
  }
  const part = source.task === undefined ? undefined : partOf[source.task];
  const files = await datasetFiles(data, part, options);
  const first = await firstRecord(files[0]!, source);
  const isQuestions = first === 'articles' || ['question', 'context'].every((name) => name in first);
  if (source.task === 'questions' || (source.task === undefined && isQuestions && !source.texts)) {
    const rows = await loadKorQuad(data, options);
    return { kind: 'questions', size: rows.length, rows };
  }
  const nested = first !== 'articles' && 'labels' in first && !source.label;
  const pairs = nested
    ? (await loadKlueSts(data, options)).map((row) => pairOf([row.sentence1, row.sentence2], row.label))
    : await readPairs(files, source, signal);
  const binary = pairs.every(({ label }) => label === 0 || label === 1);
  return { kind: source.task ?? (binary ? 'pairs' : 'sts'), size: pairs.length, pairs };
}

async function readPairs(files: readonly string[], source: TaskSource, signal: AbortSignal): Promise<LabelledPair[]> {
  const pairs: LabelledPair[] = [];
  const options = {
    ...(source.columns ? { columns: source.columns } : {}),
    ...(source.texts ? { textFields: source.texts } : {}),
    ...(source.label === undefined ? {} : { labelField: source.label }),
  };
  for (const file of files)
    for await (const { texts, label } of readExamples(file, options)) {
      signal.throwIfAborted();
      if (texts.length !== 2 || label === undefined)
        throw new FlatrankError(
          'ERR_BAD_FILE',
          `Expected ${file} to have two texts and a score or label in each record (--texts and --label name them)`,
        );
      pairs.push(pairOf([texts[0]!, texts[1]!], label));
    }
  if (pairs.length === 0) throw new FlatrankError('ERR_BAD_FILE', `Expected ${files.join(', ')} to have records`);
  return pairs;
}

function pairOf(texts: readonly [string, string], label: number): LabelledPair {
  return { texts, label };
}

/** Whether `data` is a directory with a corpus. */
async function isBeir(data: string): Promise<boolean> {
  const stats = await stat(data).catch(() => undefined);
  return stats?.isDirectory() === true && (await listFiles(data)).some((file) => /^corpus\b/.test(file));
}

/** The fields of the first record; 'articles' where the file has SQuAD's shape. */
async function firstRecord(file: string, { columns }: TaskSource): Promise<FileRecord['fields'] | 'articles'> {
  const records = readRecords(file, columns ? { columns } : {});
  try {
    for await (const { fields } of records) return fields;
    return {};
  } catch (error) {
    if (endingOf(file) !== '.json') throw error;
    for await (const _ of readJsonArray(file, { at: 'data' })) return 'articles';
    throw error;
  }
}
