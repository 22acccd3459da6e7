import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FlatrankError, checkObject, checkString } from '../errors.js';
import { anyField, idField, numberField, stringField, type FileRecord } from './record.js';
import { endingOf, readRecords, recordFormats } from './records.js';
import { listFiles, locate, type DatasetOptions } from './source.js';

/** A document of a corpus. */
export interface BeirDocument {
  title: string;
  text: string;
}

/** A retrieval dataset in BEIR's form. What it holds is what `InformationRetrievalEvaluator` takes. */
export interface BeirDataset {
  /** Documents by id, in the order of the file. */
  corpus: Map<string, BeirDocument>;
  /** Queries of all splits by id, in the order of the file. */
  queries: Map<string, string>;
  /** For each judged query of the split the relevance of each judged document; above 0 is relevant. */
  qrels: Map<string, Map<string, number>>;
}

/**
 * Loads a dataset of BEIR (Thakur et al. 2021, https://arxiv.org/abs/2104.08663): a directory with the files `corpus`,
 * `queries` and `qrels/SPLIT`, each in JSON lines, tab-separated values or Parquet, gzipped or not; or the id of one on the
 * Hub, where a second dataset `ID-qrels` may hold the judgements.
 * @param source a directory or a Hub dataset's id
 * @param options `split` is 'test' unless given
 * @throws FlatrankError `ERR_NOT_FOUND` where a file is missing, `ERR_BAD_FILE` naming file, line and column
 */
export async function loadBeir(source: string, options: DatasetOptions = {}): Promise<BeirDataset> {
  const split = checkString('split', checkObject('options', options).split ?? 'test');
  const root = await locate(source, (file) => isPart(file, ['corpus', 'queries', split]), options);
  if (!(await stat(root)).isDirectory())
    throw new FlatrankError('ERR_NOT_FOUND', `Expected ${source} to be a directory with corpus, queries and qrels`);
  const files = await partsOf(root);

  const corpus = new Map<string, BeirDocument>();
  for await (const { where, fields } of recordsOf(required(source, files, 'corpus'), options))
    corpus.set(idField(where, fields, '_id'), {
      title: typeof fields['title'] === 'string' ? fields['title'] : '',
      text: stringField(where, fields, 'text'),
    });

  const queries = new Map<string, string>();
  for await (const { where, fields } of recordsOf(required(source, files, 'queries'), options))
    queries.set(idField(where, fields, '_id'), stringField(where, fields, 'text'));

  const judged = files.has(split) ? files : await partsOf(await judgementsOf(source, root, split, options));
  const qrels = new Map<string, Map<string, number>>();
  for await (const { where, fields } of recordsOf(required(source, judged, split), options)) {
    const query = String(anyField(where, fields, 'query-id'));
    const documents = qrels.get(query) ?? new Map<string, number>();
    documents.set(idField(where, fields, 'corpus-id'), numberField(where, fields, 'score'));
    qrels.set(query, documents);
  }
  return { corpus, queries, qrels };
}

/** Where the judgements lie: in the dataset itself, or on the Hub in one of their own. */
async function judgementsOf(source: string, root: string, split: string, options: DatasetOptions): Promise<string> {
  return root === source ? root : locate(`${source}-qrels`, (file) => isPart(file, [split]), options);
}

/** The files of each part of a dataset, by the part's name: 'corpus', 'queries', and the splits. */
async function partsOf(root: string): Promise<Map<string, string[]>> {
  const parts = new Map<string, string[]>();
  for (const file of await listFiles(root)) {
    const part = partOf(file);
    if (part !== undefined) parts.set(part, [...(parts.get(part) ?? []), path.join(root, file)]);
  }
  return parts;
}

/** 'corpus' of corpus.jsonl.gz and of corpus/corpus-00000-of-00002.parquet, 'test' of qrels/test.tsv. */
function partOf(file: string): string | undefined {
  if (!Object.hasOwn(recordFormats, endingOf(file))) return undefined;
  return /^([^.]+?)(?:-\d+-of-\d+)?\./.exec(path.posix.basename(file))?.[1];
}

function isPart(file: string, parts: readonly string[]): boolean {
  const part = partOf(file);
  return part !== undefined && parts.includes(part);
}

function required(source: string, parts: ReadonlyMap<string, string[]>, name: string): string[] {
  const files = parts.get(name);
  if (files) return files;
  const there = [...parts.keys()].sort().join(', ');
  throw new FlatrankError(
    'ERR_NOT_FOUND',
    `Expected ${source} to have a file ${name} but it has ${there === '' ? 'none' : `only ${there}`}`,
  );
}

async function* recordsOf(
  files: readonly string[],
  { signal }: DatasetOptions,
): AsyncGenerator<{ where: string; fields: FileRecord['fields'] }, void, undefined> {
  for (const file of files)
    for await (const { line, fields } of readRecords(file)) {
      signal?.throwIfAborted();
      yield { where: `${file}:${line}`, fields };
    }
}
