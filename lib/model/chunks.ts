import { invalidArgument } from '../errors.js';

/** A chunk also ends after about so many characters, so that a stream of long texts stays small in memory. */
const chunkChars = 8_000_000;

/**
 * Arrays of at most `size` texts of a stream, in order.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where the stream gives something else than a string
 */
export async function* chunksOf(
  texts: AsyncIterable<string> | Iterable<string>,
  size: number,
): AsyncGenerator<string[]> {
  let chunk: string[] = [];
  let chars = 0;
  let count = 0;
  for await (const text of texts) {
    if (typeof text !== 'string') throw invalidArgument(`texts[${count}]`, 'a string', text);
    chunk.push(text);
    chars += text.length;
    count += 1;
    if (chunk.length < size && chars < chunkChars) continue;
    yield chunk;
    chunk = [];
    chars = 0;
  }
  if (chunk.length > 0) yield chunk;
}
