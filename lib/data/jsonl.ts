import { parseObject, type FileRecord } from './record.js';
import { linesOf, readSegments } from './segments.js';

/**
 * Reads JSON lines: one JSON object a line, UTF-8 with or without a byte order mark, LF or CRLF; blank lines are
 * skipped. A path that ends in `.gz` is gunzipped.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` naming file and line
 */
export async function* readJsonl(path: string): AsyncGenerator<FileRecord, void, undefined> {
  for await (const segment of readSegments(path))
    for (const { text, line } of linesOf(segment)) {
      if (text.trim() === '') continue;
      yield { line, fields: parseObject(text, `${path}:${line}`) };
    }
}
