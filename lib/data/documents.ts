import { checkObject, checkString } from '../errors.js';
import { readMarkdown } from './markdown.js';
import { idField, stringField, type FileRecord } from './record.js';
import { endingOf, readRecords, recordFormats, unknownEnding } from './records.js';
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

const textReaders = { '.txt': readText, '.md': readMarkdown, '.markdown': readMarkdown };

/** Endings of files that {@link readDocuments} reads. */
const endings = [...Object.keys(recordFormats), ...Object.keys(textReaders)];

/**
 * Reads the documents of a file, by the ending of its name: records (one document each) in `.jsonl`, `.ndjson`, `.json`,
 * `.csv`, `.tsv` (no quoting) and `.parquet`, text in `.txt`, `.md` and `.markdown` (split), and `.gz` behind any of
 * these but Parquet.
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
  const ending = endingOf(checkString('path', path));
  if (!endings.includes(ending)) throw unknownEnding(path, endings);
  const text = checkString('textField', checkObject('options', options).textField ?? 'text');
  const id = checkString('idField', options.idField ?? 'id');
  if (Object.hasOwn(textReaders, ending)) {
    const blocks = textReaders[ending as keyof typeof textReaders](path);
    let line = 0;
    for await (const piece of splitBlocks(blocks, options.splitFor ?? unlimited)) {
      yield fromPiece(path, piece, piece.line === line);
      line = piece.line;
    }
    return;
  }
  for await (const record of readRecords(path)) yield fromRecord(path, record, text, id);
}

/** Counts nothing, so that everything fits. */
const unlimited: TokenCounter = {
  maxSeqLength: Number.MAX_SAFE_INTEGER,
  countTokens: (texts) => Promise.resolve(new Int32Array(texts.length)),
};

function fromPiece(path: string, piece: Piece, sameLine: boolean): FileDocument {
  const { text, line, column, headings } = piece;
  const heading = headings.length > 0 ? { heading: headings.join(' > ') } : {};
  const place = sameLine ? `${line}:${column}` : `${line}`;
  return { id: `${path}:${place}`, text, metadata: { path, line, ...heading } };
}

function fromRecord(path: string, { line, fields }: FileRecord, textName: string, idName: string): FileDocument {
  const where = `${path}:${line}`;
  const text = stringField(where, fields, textName);
  const given = Object.hasOwn(fields, idName) ? fields[idName] : undefined;
  const id = given === undefined || given === null || given === '' ? where : idField(where, fields, idName);
  const rest = Object.entries(fields).filter(([name]) => name !== textName && name !== idName);
  return { id, text, metadata: Object.fromEntries(rest) };
}
