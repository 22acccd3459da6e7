import { parse, type Parser } from 'csv-parse';
import { FlatrankError, checkObject, checkString, invalidArgument } from '../errors.js';
import type { FileRecord } from './record.js';
import { badFile, countLineFeeds, readSegments } from './segments.js';

/** How a table is written. */
export interface CsvOptions {
  /** What separates the fields of a row; a comma unless given. */
  delimiter?: string;
  /** Whether a field may stand in double quotes; true unless given. Tab-separated values have no such rule. */
  quotes?: boolean;
  /** The names of the columns where the file has no header row; an empty one is skipped. */
  columns?: readonly string[];
}

interface Row {
  line: number;
  values: string[];
}

/** Tab-separated values without quoting, where a quote is a character as any other. */
export const tsv: CsvOptions = { delimiter: '\t', quotes: false };

/**
 * Reads a table as RFC 4180 has it: a header row (unless `columns` is given), then rows of as many fields; a field in
 * double quotes may hold delimiters, line breaks and doubled quotes. UTF-8 with or without a byte order mark, LF or
 * CRLF; blank lines are skipped, and so is a column without a name. A path that ends in `.gz` is gunzipped. All values
 * are strings.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` naming file and line
 */
export async function* readCsv(path: string, options: CsvOptions = {}): AsyncGenerator<FileRecord, void, undefined> {
  const delimiter = checkString('delimiter', checkObject('options', options).delimiter ?? ',');
  const quotes = options.quotes ?? true;
  let header = options.columns === undefined ? undefined : checkColumns(options.columns);
  for await (const { line, values } of readRows(path, delimiter, quotes)) {
    if (header === undefined) {
      header = values.map((name) => name.trim());
      const twice = repeated(header);
      if (twice !== undefined) throw badFile(`${path}:${line}`, 'a header row of different names', `"${twice}" twice`);
      continue;
    }
    if (values.length !== header.length)
      throw badFile(
        `${path}:${line}`,
        `a row of ${header.length} fields${options.columns ? '' : ', as its header'}`,
        `${values.length}`,
      );
    const named = header.map((name, i) => [name, values[i]] as const).filter(([name]) => name !== '');
    yield { line, fields: Object.fromEntries(named) };
  }
}

function checkColumns(columns: unknown): string[] {
  const names: readonly unknown[] = Array.isArray(columns) ? columns : [];
  const valid = names.length > 0 && names.every((name) => typeof name === 'string');
  if (!valid || repeated(names) !== undefined)
    throw invalidArgument('columns', 'an array of different strings', columns);
  return [...(names as string[])];
}

/** The first name that is there twice. */
function repeated(names: readonly string[]): string | undefined {
  return names.find((name, i) => name !== '' && names.indexOf(name) !== i);
}

async function* readRows(path: string, delimiter: string, quotes: boolean): AsyncGenerator<Row, void, undefined> {
  const rows: Row[] = [];
  let line = 1;
  let count = 0;
  let returns = false;
  const parser = parse({
    delimiter,
    quote: quotes ? '"' : null,
    raw: true,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    // The parser's own line numbers count a CRLF inside quotes twice, so lines are counted here. The raw text of a
    // record stops behind the first character of its delimiter.
    on_record: (parsed: unknown) => {
      const { record, raw } = parsed as { record: string[]; raw: string }; // the option `raw` makes it so
      if (record.length > 1 || record[0] !== '') rows.push({ line, values: record });
      count++;
      returns ||= record.some((value) => /\r(?!\n)/.test(value));
      line += countLineFeeds(raw) + (raw.endsWith('\r') ? 1 : 0);
      return null;
    },
  });
  parser.on('error', () => undefined); // `feed` hears of it
  try {
    for await (const { text } of readSegments(path)) {
      await feed(parser, text);
      yield* rows.splice(0);
    }
    await feed(parser, undefined);
    // Else a table of old would be read as its header alone.
    if (count === 1 && returns)
      throw badFile(`${path}:1`, 'lines that end in LF or CRLF', 'lines that end in CR alone');
  } catch (cause) {
    yield* rows.splice(0);
    if (cause instanceof FlatrankError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw badFile(`${path}:${line}`, 'a row of delimited fields', `something else (${reason})`, cause);
  } finally {
    parser.destroy();
  }
  yield* rows;
}

function feed(parser: Parser, text: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      if (error) reject(error);
      else resolve();
    };
    if (text === undefined) parser.end(settle);
    else parser.write(text, settle);
  });
}
