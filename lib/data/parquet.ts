import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { checkArray, checkObject, checkString, describe } from '../errors.js';
import type { FileRecord } from './record.js';
import { badFile, readError } from './segments.js';

/** Options of {@link readParquet}. */
export interface ParquetOptions {
  /** The columns to read; all of them unless given. */
  columns?: readonly string[];
}

/** What the decoding process is told. */
export interface ParquetJob {
  path: string;
  columns: readonly string[] | undefined;
}

/** What it answers: rows, no rows at the end, or why there are none. */
export type ParquetAnswer =
  { rows: Record<string, unknown>[] | undefined; error?: undefined } | { error: string; code: string | undefined };

/** Heap of the decoding process in MiB: what small files may take, and how much more for each MiB of the file. */
const baseHeap = 512;
const heapPerMebibyte = 48;

/** Milliseconds that decoding a row group may take, by the same rule: damaged pages can lead the decoder round for ever. */
const baseMs = 60_000;
const msPerMebibyte = 2_000;
const longestTimerMs = 2 ** 31 - 1;

/**
 * Reads the rows of a Parquet file, one row group at a time. A process of its own decodes them: a few bytes of a
 * damaged file can ask for any amount of memory or time, and V8 ends the process (not only a worker thread) that runs out of it.
 * Structs are objects, lists are arrays, integers are numbers (a string where a number is not exact), timestamps are in
 * ISO 8601, nulls are null; all codecs of the format but LZO. The `line` of a record is its row, from 1.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` naming the file and the row behind which it cannot be read
 */
export async function* readParquet(
  path: string,
  options: ParquetOptions = {},
): AsyncGenerator<FileRecord, void, undefined> {
  checkString('path', path);
  const { columns } = checkObject('options', options);
  if (columns !== undefined)
    for (const [i, column] of checkArray('columns', columns).entries()) checkString(`columns[${i}]`, column);
  const { size } = await stat(path).catch((cause: unknown) => {
    throw readError(path, cause);
  });
  const job: ParquetJob = { path, columns };
  const mebibytes = size / 2 ** 20;
  const heap = baseHeap + Math.ceil(mebibytes * heapPerMebibyte);
  const limitMs = Math.min(baseMs + mebibytes * msPerMebibyte, longestTimerMs);
  const child = fork(fileURLToPath(new URL('./parquet-process.js', import.meta.url)), [JSON.stringify(job)], {
    execArgv: [`--max-old-space-size=${heap}`],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  let line = 0;
  try {
    for (;;) {
      const answer = await ask(child, limitMs).catch((cause: unknown) => {
        throw unreadable(path, line, 'one that cannot be decoded in the memory and time its size justifies', cause);
      });
      if (answer.error !== undefined) {
        const { code, error } = answer;
        if (code !== undefined && systemErrors.has(code))
          throw readError(path, Object.assign(new Error(error), { code }));
        throw unreadable(path, line, `one that cannot be decoded (${describe(error)})`);
      }
      if (answer.rows === undefined) return;
      for (const fields of answer.rows) yield { line: ++line, fields };
    }
  } finally {
    child.kill('SIGKILL');
  }
}

/** Of the errors a process can answer with, those of reading the file at all. */
const systemErrors = new Set(['ENOENT', 'EISDIR', 'EACCES', 'EPERM', 'EIO']);

/** The answer to one message. The process keeps ours alive only while we wait for it. */
async function ask(child: ChildProcess, limitMs: number): Promise<ParquetAnswer> {
  const over = new AbortController();
  const { signal } = over;
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  child.ref();
  child.channel?.ref();
  try {
    child.send('next', () => undefined); // that it cannot be sent, 'exit' tells
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message as ParquetAnswer),
      once(child, 'exit', { signal }).then(([status, name]) => {
        throw new Error(`The decoding process ended with ${String(name ?? status)}`);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    over.abort();
    child.channel?.unref();
    child.unref();
  }
}

function unreadable(path: string, line: number, received: string, cause?: unknown): Error {
  return badFile(line === 0 ? path : `${path} behind row ${line}`, 'a Parquet file', received, cause);
}
