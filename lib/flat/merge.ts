import { checkArray, checkInteger, checkObject, checkOneOf, checkSignal, invalidArgument } from '../errors.js';
import { native, runNative } from '../native.js';
import type { SearchResult } from './types.js';

/** Options of {@link mergeSearchResults}. */
export interface MergeOptions {
  /** How many results a query keeps. */
  k: number;
  /** `'l2'`: smaller distances first; `'ip'`: larger first. */
  metric: 'l2' | 'ip';
  /** How many queries the results are of. */
  queries: number;
  /** Added to the labels of shard i (its first row's number in the whole); zeros unless given. */
  labelOffsets?: readonly number[];
  signal?: AbortSignal;
}

/**
 * Merges what the shards of one index found for the same queries into the k best of all, as faiss IndexShards does.
 * Ordered by the reported distance and then by label.
 * @param results one per shard, each (nq · its own k)
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` for shapes that do not fit, `ERR_NON_FINITE` for a NaN distance
 */
export async function mergeSearchResults(
  results: readonly SearchResult[],
  options: MergeOptions,
): Promise<SearchResult> {
  const signal = checkSignal(checkObject('options', options).signal);
  for (const [i, result] of checkArray('results', results, 'an array of search results').entries())
    checkObject(`results[${i}]`, result);
  const k = checkInteger('k', options.k);
  const queries = checkInteger('queries', options.queries, 0);
  const descending = checkOneOf('metric', options.metric, ['l2', 'ip']) === 'ip';
  const offsets = options.labelOffsets ?? results.map(() => 0);
  if (checkArray('labelOffsets', offsets).length !== results.length)
    throw invalidArgument('labelOffsets', `an array of ${results.length} numbers, one for each result`, offsets);
  for (const [i, offset] of offsets.entries())
    if (checkInteger(`labelOffsets[${i}]`, offset, 0) >= 2 ** 31)
      throw invalidArgument(`labelOffsets[${i}]`, 'below 2^31', offset);
  return runNative(signal, (cancellation) =>
    native().mergeShards(
      results.map(({ distances }) => distances),
      results.map(({ labels }) => labels),
      Int32Array.from(offsets),
      queries,
      k,
      descending,
      cancellation,
    ),
  );
}
