import { FlatrankError, describe } from '../errors.js';
import { native, runNative } from '../native.js';
import type { Hit, RetrieverCrossEncoder } from './types.js';

/**
 * Scores each hit beside the query and merges: descending by logit + blend · retrieval score (rounded to float32),
 * equal ones in their order, cut to k.
 * @throws FlatrankError `ERR_NON_FINITE` where the model gives no number, `ERR_MODEL` where it gives not one a pair
 */
export async function rerankHits<M>(
  crossEncoder: RetrieverCrossEncoder,
  query: string,
  hits: readonly Hit<M>[],
  { k, blend, signal }: { k: number; blend: number; signal: AbortSignal | undefined },
): Promise<Hit<M>[]> {
  if (hits.length === 0) return [];
  const pairs = hits.map(({ text }) => [query, text] as const);
  const logits = await crossEncoder.predict(pairs, { activation: 'none', ...(signal ? { signal } : {}) });
  if (!(logits instanceof Float32Array) || logits.length !== hits.length)
    throw new FlatrankError('ERR_MODEL', `Expected ${hits.length} logits but received ${describe(logits)}`);
  const scores = Float32Array.from(logits, (logit, i) => logit + (blend === 0 ? 0 : blend * hits[i]!.retrievalScore));
  const bad = scores.findIndex((score) => !Number.isFinite(score));
  if (bad !== -1)
    throw new FlatrankError('ERR_NON_FINITE', `Expected a finite score for hit ${bad} but received ${scores[bad]!}`);

  const positions = Int32Array.from(hits, (_, i) => i);
  const offsets = Int32Array.of(0, hits.length);
  const width = Math.min(k, hits.length);
  const merged = await runNative(signal, (cancellation) =>
    native().mergeRerank(positions, scores, offsets, width, cancellation),
  );
  return Array.from(merged.labels, (position, i) => ({
    ...hits[position]!,
    score: merged.scores[i]!,
    rerankScore: logits[position]!,
  }));
}
