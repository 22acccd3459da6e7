import { BlockBuilder, type TextBlock } from './blocks.js';
import { linesOf, readSegments } from './segments.js';

/**
 * Reads plain text as paragraphs: runs of lines with blank lines between them. UTF-8 with or without a byte order
 * mark, LF or CRLF; a path that ends in `.gz` is gunzipped.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE`
 */
export async function* readText(path: string): AsyncGenerator<TextBlock, void, undefined> {
  const paragraph = new BlockBuilder();
  for await (const segment of readSegments(path))
    for (const { text, line } of linesOf(segment)) {
      if (text.trim() === '') yield* paragraph.take('paragraph', []);
      else paragraph.push(text, line);
    }
  yield* paragraph.take('paragraph', []);
}
