import { describe } from '../errors.js';
import { anyField, isObject, numberField, stringField, type FileRecord } from './record.js';
import { readRecords } from './records.js';
import { badFile } from './segments.js';
import { datasetFiles, type DatasetOptions } from './source.js';

/** Two sentences and how alike they are. */
export interface StsRow {
  sentence1: string;
  sentence2: string;
  /** The annotators' mean from 0 to 5, as the dataset publishes it. */
  label: number;
  /** `label` / 5: what `EmbeddingSimilarityEvaluator` and `CosineSimilarityLoss` take. */
  score: number;
}

/** A row of KLUE-STS. */
export interface KlueStsRow extends StsRow {
  guid?: string;
  source?: string;
  /** The mean before it is rounded to one decimal, which gives `label`. */
  realLabel: number;
  /** 1 where the mean is at least 3, else 0. */
  binaryLabel: 0 | 1;
}

/** A row of KorSTS, or of another translation of STS-B. */
export interface KorStsRow extends StsRow {
  genre?: string;
  filename?: string;
  year?: string;
  id?: string;
}

/** The highest label of STS. */
const maxLabel = 5;

/**
 * Loads KLUE-STS (Park et al. 2021, https://arxiv.org/abs/2105.09680): the benchmark's JSON, the Hub's Parquet
 * (`'klue'`), or a table of sentence1, sentence2 and the real label.
 * @param source a file, a directory or a Hub dataset's id
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_UNSUPPORTED`, `ERR_BAD_FILE` naming file, line and column
 */
export function loadKlueSts(source: string, options: DatasetOptions = {}): Promise<KlueStsRow[]> {
  return loadRows(source, 'sts', options, (where, fields) => {
    const real =
      'labels' in fields
        ? labelsOf(where, fields)
        : { label: undefined, realLabel: numberField(where, fields, 'label') };
    const label = real.label ?? Math.round(real.realLabel * 10) / 10;
    return {
      ...optionalStrings(fields, ['guid', 'source']),
      ...sentencesOf(where, fields),
      label: checkLabel(where, 'label', label),
      realLabel: checkLabel(where, 'real-label', real.realLabel),
      binaryLabel: real.realLabel >= 3 ? 1 : 0,
      score: label / maxLabel,
    };
  });
}

/**
 * Loads KorSTS (Ham et al. 2020, https://arxiv.org/abs/2004.03289): tab-separated values without quoting, with the
 * columns score, sentence1 and sentence2; others of STS-B's shape load as well.
 * @param source a file, a directory or a Hub dataset's id
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_UNSUPPORTED`, `ERR_BAD_FILE` naming file, line and column
 */
export function loadKorSts(source: string, options: DatasetOptions = {}): Promise<KorStsRow[]> {
  return loadRows(source, undefined, options, (where, fields) => {
    const label = checkLabel(where, 'score', numberField(where, fields, 'score'));
    return {
      ...optionalStrings(fields, ['genre', 'filename', 'year', 'id']),
      ...sentencesOf(where, fields),
      label,
      score: label / maxLabel,
    };
  });
}

/** The rows of every file of a dataset, each made by `convert` from the fields at `where` ("path:line"). */
export async function loadRows<T>(
  source: string,
  part: string | undefined,
  options: DatasetOptions,
  convert: (where: string, fields: FileRecord['fields']) => T,
): Promise<T[]> {
  const rows: T[] = [];
  for (const file of await datasetFiles(source, part, options))
    for await (const { line, fields } of readRecords(file)) {
      options.signal?.throwIfAborted();
      rows.push(convert(`${file}:${line}`, fields));
    }
  return rows;
}

function labelsOf(where: string, fields: FileRecord['fields']): { label: number; realLabel: number } {
  const labels = anyField(where, fields, 'labels');
  if (!isObject(labels)) throw badFile(where, 'a record with an object in "labels"', describe(labels));
  return { label: numberField(where, labels, 'label'), realLabel: numberField(where, labels, 'real-label') };
}

function checkLabel(where: string, name: string, label: number): number {
  if (label >= 0 && label <= maxLabel) return label;
  throw badFile(where, `a record with a number from 0 to ${maxLabel} in ${describe(name)}`, describe(label));
}

function sentencesOf(where: string, fields: FileRecord['fields']): { sentence1: string; sentence2: string } {
  const [sentence1, sentence2] = ['sentence1', 'sentence2'].map((name) => stringField(where, fields, name));
  return { sentence1: sentence1!, sentence2: sentence2! };
}

/** Those of the fields that are there. */
function optionalStrings<K extends string>(
  fields: FileRecord['fields'],
  names: readonly K[],
): Partial<Record<K, string>> {
  const there = names.filter((name) => Object.hasOwn(fields, name) && fields[name] !== null);
  return Object.fromEntries(there.map((name) => [name, String(fields[name])])) as Partial<Record<K, string>>;
}
