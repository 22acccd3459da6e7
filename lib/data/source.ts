import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { FlatrankError, checkObject, checkString, describe } from '../errors.js';
import { downloadSnapshot, isHubId } from '../hub/index.js';
import { endingOf, recordFormats } from './records.js';

/** Options of every loader of a dataset. */
export interface DatasetOptions {
  /**
   * Which part of the dataset: 'train', 'validation' or 'test'. It chooses among the files of a directory or of a Hub
   * dataset, and may be left out where there is one part only. A single file is read whole.
   */
  split?: string;
  /** Branch, tag or commit of a Hub dataset; 'main' unless given. */
  revision?: string;
  signal?: AbortSignal;
}

/** Chooses files of a dataset by their path in it, with forward slashes. */
export type FileChoice = (file: string) => boolean;

/**
 * The folder or file that `source` names: a path, or else the id of a Hub dataset ('klue', 'BeIR/scifact'), of which the
 * files chosen are fetched.
 * @throws FlatrankError `ERR_NOT_FOUND` where it is neither
 */
export async function locate(source: string, include: FileChoice, options: DatasetOptions): Promise<string> {
  checkString('source', source);
  if (await exists(source)) return source;
  const { revision, signal } = options;
  // 'owner/name.jsonl' might be a dataset, but is a file that somebody mistyped.
  if (isHubId(source) && !Object.hasOwn(recordFormats, endingOf(source)))
    return downloadSnapshot(source, { repoType: 'dataset', include, revision, signal });
  throw new FlatrankError('ERR_NOT_FOUND', `Expected ${source} to be a file, a directory or a Hub dataset's id`);
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** Names of a split in paths. */
const splitNames: Readonly<Record<string, readonly string[]>> = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'val', 'dev'],
  test: ['test'],
};

/**
 * The files of records that a loader reads, in the order of their names: the file itself where `source` is one, else
 * those of the split asked for. Of a dataset of several parts, as KLUE is, only files whose path names `part` ('sts')
 * count, if any does.
 * @throws FlatrankError `ERR_NOT_FOUND` where there is none, or where a split must be named; the message tells which are there
 */
export async function datasetFiles(
  source: string,
  part: string | undefined,
  options: DatasetOptions,
): Promise<string[]> {
  const wanted =
    checkObject('options', options).split === undefined
      ? undefined
      : canonicalSplit(checkString('split', options.split));
  const include: FileChoice = (file) =>
    Object.hasOwn(recordFormats, endingOf(file)) && (wanted === undefined || splitOf(file) === wanted);
  const isPart: FileChoice = (file) => part === undefined || wordsOf(file).includes(part);
  const root = await locate(source, (file) => include(file) && isPart(file), options);
  if ((await stat(root)).isFile()) return [root];

  const all = (await listFiles(root)).filter((file) => Object.hasOwn(recordFormats, endingOf(file)));
  const ofPart = all.filter(isPart);
  const candidates = ofPart.length > 0 ? ofPart : all;
  const files = candidates.filter(include);
  const splits = [...new Set(files.map(splitOf))];
  if (files.length > 0 && splits.length === 1) return files.map((file) => path.join(root, file));

  const there = [...new Set(candidates.map(splitOf).filter((split) => split !== ''))].sort().join(', ');
  throw new FlatrankError(
    'ERR_NOT_FOUND',
    files.length === 0
      ? `Expected ${source} to have files of ${wanted === undefined ? 'records' : `split ${describe(wanted)}`} but it has ${there === '' ? 'none' : `only ${there}`}`
      : `Expected \`split\` to be one of ${there}: ${source} has several`,
  );
}

/** Paths of the files in a directory, folders in it included, in order. */
export async function listFiles(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .sort();
}

/** The split a path names, by our name for it; empty where it names none. */
function splitOf(file: string): string {
  const words = wordsOf(file);
  const named = Object.entries(splitNames).find(([, names]) => names.some((name) => words.includes(name)));
  return named?.[0] ?? '';
}

function canonicalSplit(split: string): string {
  const named = Object.entries(splitNames).find(([, names]) => names.includes(split));
  return named?.[0] ?? split;
}

function wordsOf(file: string): string[] {
  return file.toLowerCase().split(/[^a-z0-9]+/);
}
