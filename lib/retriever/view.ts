import { searchSegments, type SegmentPart } from '../flat/segment.js';
import type { Matrix } from '../matrix.js';
import { type Bitmap, countBits, minus } from './bitmap.js';
import { selectRows } from './columns.js';
import type { FilterPlan } from './filter.js';
import type { Part, Row, Segment, Snapshot } from './segment.js';

/** A row that a search found, and what the index says of it: an inner product or a squared distance. */
export interface Found<M> {
  readonly row: Row<M>;
  readonly distance: number;
}

/** Filters whose rows are kept for each segment. */
const keptFilters = 16;

/** What a filter let through of the first `rows` rows. */
interface KeptFilter {
  readonly rows: number;
  readonly bitmap: Bitmap;
  readonly count: number;
}

type KeptFilters = Map<string, KeptFilter>;

const filtered = new WeakMap<object, KeptFilters>();

/**
 * The k best rows of each query (nq, dimension) among those that were not removed and that the filter lets through. The
 * snapshot's segments are held by the caller.
 */
export async function searchSnapshot<M>(
  snapshot: Snapshot<M>,
  filter: FilterPlan | undefined,
  queries: Matrix,
  k: number,
  signal: AbortSignal | undefined,
): Promise<Found<M>[][]> {
  const parts: (SegmentPart & { from: Segment<M> })[] = [];
  let available = 0;
  for (const part of snapshot.parts) {
    const { selected, count } = await select(part, filter);
    if (count === 0) continue;
    available += count;
    signal?.throwIfAborted();
    parts.push({ segment: await part.segment.vectors(), rows: part.rows, selected, from: part.segment });
  }
  const width = Math.min(k, available);
  if (width === 0) return Array.from({ length: queries.rows }, () => []);
  const { distances, labels } = await searchSegments(parts, queries, width, signal);
  return Promise.all(
    Array.from({ length: queries.rows }, async (_, q) => {
      const rows = await rowsOf(parts, labels.subarray(q * width, (q + 1) * width));
      return rows.map((row, i) => ({ row, distance: distances[q * width + i]! }));
    }),
  );
}

/** The rows that are searched, undefined for all, and how many they are. */
async function select<M>(
  part: Part<M>,
  filter: FilterPlan | undefined,
): Promise<{ selected: Bitmap | undefined; count: number }> {
  const chosen = filter && (await filterRows(part, filter));
  if (!part.removed) return { selected: chosen?.bitmap, count: chosen?.count ?? part.rows };
  const selected = minus(chosen?.bitmap, part.removed, part.rows);
  return { selected, count: countBits(selected) };
}

async function filterRows<M>({ segment, rows }: Part<M>, filter: FilterPlan): Promise<KeptFilter> {
  const known: KeptFilters = filtered.get(segment) ?? new Map<never, never>();
  filtered.set(segment, known);
  let found = known.get(filter.key);
  known.delete(filter.key); // the last used stands last
  if (found?.rows !== rows) {
    const bitmap = await selectRows(filter, (field) => segment.column(field, rows), rows);
    found = { rows, bitmap, count: countBits(bitmap) };
  }
  known.set(filter.key, found);
  if (known.size > keptFilters) known.delete(known.keys().next().value!);
  return found;
}

/** The rows behind labels that count through the parts, read from all of them at once and put into their order. */
async function rowsOf<M>(parts: readonly { rows: number; from: Segment<M> }[], labels: Int32Array): Promise<Row<M>[]> {
  const rows = new Array<Row<M>>(labels.length);
  let end = 0;
  const reads = parts.map(async ({ rows: count, from }) => {
    const first = end;
    end += count;
    const here: number[] = [];
    for (const [i, label] of labels.entries()) if (label >= first && label < first + count) here.push(i);
    const found = here.length === 0 ? [] : await from.get(here.map((i) => labels[i]! - first));
    for (const [j, i] of here.entries()) rows[i] = found[j]!;
  });
  await Promise.all(reads);
  return rows;
}
