import { FlatrankError, checkString, describe } from '../errors.js';
import { readCsv } from './csv.js';
import { readJsonl } from './jsonl.js';
import { readMarkdown } from './markdown.js';
import type { FileRecord } from './record.js';
import { badFile } from './segments.js';
import { type Piece, type TokenCounter, splitBlocks } from './split.js';
import { readText } from './text.js';

/** One document of a file: what `Retriever.add` takes. */
export interface FileDocument {
  id: string;
  text: string;
  metadata: Record<string, unknown>;
}

/** Options of {@link readDocuments}. */
export interface ReadDocumentsOptions {
  /** Which field of a JSON object or table row is the text; `'text'` unless given. */
  textField?: string;
  /** Which field is the id; `'id'` unless given. */
  idField?: string;
  /** Splits plain text and Markdown into pieces that fit this model; records are never split. */
  splitFor?: TokenCounter;
}

type Format = 'jsonl' | 'csv' | 'tsv' | 'text' | 'markdown';

const formats: Readonly<Record<string, Format>> = {
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.txt': 'text',
  '.md': 'markdown',
  '.markdown': 'markdown',
};

/**
 * Reads the documents of a file, by the ending of its name: `.jsonl`, `.ndjson`, `.csv`, `.tsv` (no quoting; one document a record),
 * `.txt`, `.md`, `.markdown` (split), and `.gz` behind any of these.
 *
 * A record's text and id are the fields named; all its other fields are metadata. Where the id is missing, null or
 * empty it becomes `path:line`. Text and Markdown become pieces with the ids `path:line` (`path:line:column` for
 * further pieces that begin on the same line) and the metadata `path`, `line` and, where there is one, `heading`
 * (`'Install > From source'`). With `splitFor` the pieces fit that model;
 * without it Markdown has one piece for each heading and plain text is one piece.
 * @throws FlatrankError `ERR_UNSUPPORTED` for another ending, `ERR_NOT_FOUND`, `ERR_BAD_FILE` naming file and line
 */
export async function* readDocuments(
  path: string,
  options: ReadDocumentsOptions = {},
): AsyncGenerator<FileDocument, void, undefined> {
  const format = formatOf(checkString('path', path));
  const textField = checkString('textField', options.textField ?? 'text');
  const idField = checkString('idField', options.idField ?? 'id');
  if (format === 'text' || format === 'markdown') {
    const blocks = format === 'text' ? readText(path) : readMarkdown(path);
    let line = 0;
    for await (const piece of splitBlocks(blocks, options.splitFor ?? unlimited)) {
      yield fromPiece(path, piece, piece.line === line);
      line = piece.line;
    }
    return;
  }
  const records =
    format === 'jsonl' ? readJsonl(path) : readCsv(path, format === 'tsv' ? { delimiter: '\t', quotes: false } : {});
  for await (const record of records) yield fromRecord(path, record, textField, idField);
}

/** Counts nothing, so that everything fits. */
const unlimited: TokenCounter = {
  maxSeqLength: Number.MAX_SAFE_INTEGER,
  countTokens: (texts) => Promise.resolve(new Int32Array(texts.length)),
};

function formatOf(path: string): Format {
  const ending = /(\.[^./\\]+)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase() ?? '';
  const format = Object.hasOwn(formats, ending) ? formats[ending] : undefined;
  if (format) return format;
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected ${path} to end in one of ${Object.keys(formats).join(' ')} (or one of these and .gz)`,
  );
}

function fromPiece(path: string, piece: Piece, sameLine: boolean): FileDocument {
  const { text, line, column, headings } = piece;
  const heading = headings.length > 0 ? { heading: headings.join(' > ') } : {};
  const place = sameLine ? `${line}:${column}` : `${line}`;
  return { id: `${path}:${place}`, text, metadata: { path, line, ...heading } };
}

function fromRecord(path: string, { line, fields }: FileRecord, textField: string, idField: string): FileDocument {
  const where = `${path}:${line}`;
  if (!Object.hasOwn(fields, textField)) {
    const names = Object.keys(fields).map((name) => describe(name));
    throw badFile(
      where,
      `a record with the field ${describe(textField)}`,
      `one with ${names.join(', ') || 'no field'}`,
    );
  }
  const text = fields[textField];
  if (typeof text !== 'string')
    throw badFile(where, `a record with a string in ${describe(textField)}`, describe(text));
  const rest = Object.entries(fields).filter(([name]) => name !== textField && name !== idField);
  return { id: idOf(where, fields, idField), text, metadata: Object.fromEntries(rest) };
}

function idOf(where: string, fields: Record<string, unknown>, idField: string): string {
  const id = Object.hasOwn(fields, idField) ? fields[idField] : undefined;
  if (id === undefined || id === null || id === '') return where;
  if (typeof id === 'string') return id;
  if (typeof id === 'number') return String(id);
  throw badFile(where, `a record with a string or number in ${describe(idField)}`, describe(id));
}
