import { FlatrankError, checkObject, checkOneOf, checkString } from '../errors.js';
import { readCsv, tsv, type CsvOptions } from './csv.js';
import { readJsonArray, type JsonArrayOptions } from './json-array.js';
import { readJsonl } from './jsonl.js';
import { readParquet } from './parquet.js';
import type { FileRecord } from './record.js';

/** How a file of records is written. */
export type RecordFormat = 'jsonl' | 'json' | 'csv' | 'tsv' | 'parquet';

/** Options of {@link readRecords}. */
export interface ReadRecordsOptions extends CsvOptions, JsonArrayOptions {
  /** How the file is written; by the ending of its name unless given. */
  format?: RecordFormat;
}

/** Endings of files of records, each with its format. */
export const recordFormats: Readonly<Record<string, RecordFormat>> = {
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'json',
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.parquet': 'parquet',
};

const formats: readonly RecordFormat[] = ['jsonl', 'json', 'csv', 'tsv', 'parquet'];

/** The ending of a path in small letters, without `.gz`: '.jsonl' of 'A.JSONL.gz'; empty where there is none. */
export function endingOf(path: string): string {
  return /(\.[^./\\]+)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase() ?? '';
}

/** The error for a file whose ending is none of `endings`. */
export function unknownEnding(path: string, endings: readonly string[]): FlatrankError {
  const message = `Expected ${path} to end in one of ${endings.join(' ')} (or one of these and .gz)`;
  return new FlatrankError('ERR_UNSUPPORTED', message);
}

/**
 * Reads the records of a file, by the ending of its name: `.jsonl` and `.ndjson` (JSON lines), `.json` (an array of
 * objects), `.csv` (quoted as RFC 4180 has it), `.tsv` (no quoting), `.parquet`; and `.gz` behind any of these but
 * Parquet.
 * @throws FlatrankError `ERR_UNSUPPORTED` for another ending, `ERR_NOT_FOUND`, `ERR_BAD_FILE` naming file and line
 */
export async function* readRecords(
  path: string,
  options: ReadRecordsOptions = {},
): AsyncGenerator<FileRecord, void, undefined> {
  const ending = endingOf(checkString('path', path));
  const known = Object.hasOwn(recordFormats, ending) ? recordFormats[ending] : undefined;
  if (checkObject('options', options).format === undefined && known === undefined)
    throw unknownEnding(path, Object.keys(recordFormats));
  switch (checkOneOf('format', options.format ?? known, formats)) {
    case 'jsonl':
      return yield* readJsonl(path);
    case 'json':
      return yield* readJsonArray(path, options);
    case 'csv':
      return yield* readCsv(path, options);
    case 'tsv':
      return yield* readCsv(path, { ...tsv, ...options });
    case 'parquet':
      return yield* readParquet(path);
  }
}
