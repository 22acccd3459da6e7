import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Matrix, pickRows } from '../matrix.js';
import { hasBit } from './bitmap.js';
import type { Part, Row, Segment, Snapshot } from './segment.js';

/** Rows read at a time. */
const windowRows = 1024;

/** Rows of one segment, and which of its rows they are. */
export interface LiveRows<M> {
  readonly segment: Segment<M>;
  readonly rows: readonly Row<M>[];
  readonly numbers: readonly number[];
}

/** The rows of a snapshot that were not removed, window by window, in their order. */
export async function* liveRows<M>({ parts }: Snapshot<M>): AsyncGenerator<LiveRows<M>, void, undefined> {
  for (const part of parts)
    for (const [begin, end, live] of windows(part)) {
      const rows = pick(await part.segment.rows(begin, end), live);
      yield { segment: part.segment, rows, numbers: live.map((row) => begin + row) };
    }
}

/** The same with their vectors. */
export async function* liveRowsAndVectors<M>({
  parts,
}: Snapshot<M>): AsyncGenerator<{ rows: Row<M>[]; vectors: Matrix }, void, undefined> {
  for (const part of parts)
    for (const [begin, end, live] of windows(part)) {
      const rows = pick(await part.segment.rows(begin, end), live);
      if (rows.length === 0) continue;
      const vectors = await part.segment.read(begin, end);
      yield { rows, vectors: rows.length === vectors.rows ? vectors : pickRows(vectors, live) };
      await nextTurn();
    }
}

/** Windows of a part, and which of their rows are left. */
function* windows<M>({ rows, removed }: Part<M>): Generator<[begin: number, end: number, live: number[]], void> {
  for (let begin = 0; begin < rows; begin += windowRows) {
    const end = Math.min(begin + windowRows, rows);
    const live: number[] = [];
    for (let row = begin; row < end; row++) if (!removed || !hasBit(removed, row)) live.push(row - begin);
    yield [begin, end, live];
  }
}

function pick<T>(values: readonly T[], which: readonly number[]): T[] {
  return which.map((i) => values[i]!);
}
