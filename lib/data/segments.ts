/**
 * Bytes of a text file, as strings of whole lines: what the readers of line-based formats stand on. Nothing about the
 * content is trusted; a file that is not UTF-8 text is refused with the line that shows it.
 */
import { constants, isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { FlatrankError, checkString, describe } from '../errors.js';

/** Whole lines of a text file. */
export interface Segment {
  /** One line or more, with their line ends; only the last line of a file may lack one. */
  text: string;
  /** Number of the first of them, from 1. */
  line: number;
}

const lineFeed = 0x0a;

/** An `ERR_BAD_FILE` in one voice: "Expected path:line to be … but received …". */
export function badFile(where: string, expectation: string, received: string, cause?: unknown): FlatrankError {
  const message = `Expected ${where} to be ${expectation} but received ${received}`;
  return new FlatrankError('ERR_BAD_FILE', message, cause === undefined ? undefined : { cause });
}

/**
 * Reads a UTF-8 text file (gunzipped where its name ends in `.gz`) as segments of whole lines, without its byte order
 * mark. Memory is bounded by the longest line.
 * @throws FlatrankError `ERR_NOT_FOUND` where there is no such file or it cannot be read; `ERR_BAD_FILE` for a
 *   directory, for gzip data that is damaged, and for bytes that are not UTF-8 or are NUL
 */
export async function* readSegments(path: string): AsyncGenerator<Segment, void, undefined> {
  checkString('path', path);
  let line = 1;
  let first = true;
  for await (const bytes of wholeLines(path)) {
    const text = decode(path, line, bytes);
    const start = first && text.startsWith('\uFEFF') ? 1 : 0;
    first = false;
    yield { text: text.slice(start), line };
    line += countLineFeeds(text);
  }
}

/** Number of line feeds in `text`. */
export function countLineFeeds(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

/** The lines of a segment without their ends (LF or CRLF), each with its number. */
export function* linesOf(segment: Segment): Generator<{ text: string; line: number }, void, undefined> {
  const { text } = segment;
  let line = segment.line;
  let start = 0;
  while (start < text.length) {
    const feed = text.indexOf('\n', start);
    const next = feed === -1 ? text.length : feed + 1;
    let end = feed === -1 ? text.length : feed;
    if (end > start && text[end - 1] === '\r') end--;
    yield { text: text.slice(start, end), line };
    start = next;
    line++;
  }
}

/** Cuts the stream behind the last line feed of each chunk; a line that spans chunks is joined once, when it ends. */
async function* wholeLines(path: string): AsyncGenerator<Buffer, void, undefined> {
  const pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of openBytes(path)) {
    const end = chunk.lastIndexOf(lineFeed) + 1;
    if (end > 0) {
      yield Buffer.concat([...pending.splice(0), chunk.subarray(0, end)]);
      pendingBytes = 0;
    }
    if (end < chunk.length) pending.push(chunk.subarray(end));
    pendingBytes += chunk.length - end;
    if (pendingBytes > constants.MAX_STRING_LENGTH)
      throw badFile(path, `text with lines of at most ${constants.MAX_STRING_LENGTH} bytes`, 'a longer line');
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}

async function* openBytes(path: string): AsyncGenerator<Buffer, void, undefined> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  // The callback is only there to keep an error from being unhandled: the loop below receives it as well.
  const stream: Readable = /\.gz$/i.test(path) ? pipeline(file, createGunzip(), () => undefined) : file;
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (cause) {
    throw readError(path, cause);
  } finally {
    file.destroy();
  }
}

/** The error for a file that the system does not give. */
export function readError(path: string, cause: unknown): FlatrankError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (code === 'EISDIR') return badFile(path, 'a file', 'a directory', cause);
  if (code.startsWith('Z_')) return badFile(path, 'a whole gzip file', `damaged data (${reason})`, cause);
  if (code === 'ENOENT')
    return new FlatrankError('ERR_NOT_FOUND', `Expected ${path} to be a file but there is none`, { cause });
  return new FlatrankError('ERR_NOT_FOUND', `Expected ${path} to be readable but: ${reason}`, { cause });
}

function decode(path: string, line: number, bytes: Buffer): string {
  if (bytes.length > constants.MAX_STRING_LENGTH)
    throw badFile(path, `text with lines of at most ${constants.MAX_STRING_LENGTH} bytes`, 'a longer line');
  if (!isUtf8(bytes) || bytes.includes(0)) throw notText(path, line, bytes);
  return bytes.toString('utf8');
}

/** The error that names the first line of `bytes` that is not UTF-8 text. */
function notText(path: string, firstLine: number, bytes: Buffer): FlatrankError {
  let line = firstLine;
  let start = 0;
  for (;;) {
    const feed = bytes.indexOf(lineFeed, start);
    const row = bytes.subarray(start, feed === -1 ? bytes.length : feed);
    const zipped = line === 1 && row[0] === 0x1f && row[1] === 0x8b;
    if (zipped) return badFile(path, 'UTF-8 text', 'gzip data (a gzip file must be named .gz)');
    if (!isUtf8(row)) return badFile(`${path}:${line}`, 'UTF-8 text', 'bytes that are not');
    if (row.includes(0)) return badFile(`${path}:${line}`, 'UTF-8 text', `a NUL byte at column ${row.indexOf(0) + 1}`);
    if (feed === -1) return badFile(path, 'UTF-8 text', describe(bytes));
    start = feed + 1;
    line++;
  }
}
