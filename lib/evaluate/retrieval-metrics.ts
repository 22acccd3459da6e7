import { checkArray, checkInteger, checkObject, invalidArgument } from '../errors.js';
import { checkTexts } from './checks.js';
import { discount, idealDcg, mean } from './ranking-metrics.js';

/** At which ranks retrieval is measured. */
export interface RetrievalCutoffs {
  accuracyAtK: readonly number[];
  precisionRecallAtK: readonly number[];
  ndcgAtK: readonly number[];
  mrrAtK: readonly number[];
  mapAtK: readonly number[];
}

/** The cutoffs of sentence-transformers' `InformationRetrievalEvaluator`. */
export const defaultCutoffs: RetrievalCutoffs = {
  accuracyAtK: [1, 3, 5, 10],
  precisionRecallAtK: [1, 3, 5, 10],
  ndcgAtK: [10],
  mrrAtK: [10],
  mapAtK: [100],
};

/**
 * Measures rankings with binary relevance, as sentence-transformers' `InformationRetrievalEvaluator`: `accuracy@k` (a
 * relevant document among the first k), `precision@k`, `recall@k`, `ndcg@k`, `mrr@k` and `map@k`, each the mean over
 * queries.
 * @param rankings for each query the ids of documents, best first
 * @param relevant for each query the ids of its relevant documents, one at least
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`
 */
export function retrievalMetrics(
  rankings: readonly (readonly string[])[],
  relevant: readonly ReadonlySet<string>[],
  cutoffs: RetrievalCutoffs = defaultCutoffs,
): Record<string, number> {
  for (const [i, ranking] of checkArray('rankings', rankings).entries()) checkTexts(`rankings[${i}]`, ranking);
  if (checkArray('relevant', relevant).length !== rankings.length)
    throw invalidArgument('relevant', `an array of ${rankings.length} sets, one for each ranking`, relevant);
  for (const [i, ids] of relevant.entries())
    if (!(ids instanceof Set) || ids.size === 0)
      throw invalidArgument(`relevant[${i}]`, 'a set of one id at least', ids);
  checkObject('cutoffs', cutoffs);
  for (const name of Object.keys(defaultCutoffs) as (keyof RetrievalCutoffs)[])
    for (const k of checkArray(`cutoffs.${name}`, cutoffs[name])) checkInteger(`cutoffs.${name}`, k);

  const hits = rankings.map((ranking, i) => ranking.map((id) => relevant[i]!.has(id)));
  const counts = relevant.map(({ size }) => size);
  const average = (measure: (hit: readonly boolean[], relevantCount: number) => number): number =>
    mean(hits.map((hit, i) => measure(hit, counts[i]!)));
  const found = (hit: readonly boolean[], k: number): number => hit.slice(0, k).filter(Boolean).length;

  const metrics: Record<string, number> = {};
  for (const k of cutoffs.accuracyAtK) metrics[`accuracy@${k}`] = average((hit) => Math.min(found(hit, k), 1));
  for (const k of cutoffs.precisionRecallAtK) metrics[`precision@${k}`] = average((hit) => found(hit, k) / k);
  for (const k of cutoffs.precisionRecallAtK) metrics[`recall@${k}`] = average((hit, count) => found(hit, k) / count);
  for (const k of cutoffs.ndcgAtK)
    metrics[`ndcg@${k}`] = average((hit, count) => {
      const dcg = hit.slice(0, k).reduce((sum, isHit, rank) => (isHit ? sum + discount(rank) : sum), 0);
      return dcg / idealDcg(count, k);
    });
  for (const k of cutoffs.mrrAtK)
    metrics[`mrr@${k}`] = average((hit) => {
      const rank = hit.slice(0, k).indexOf(true);
      return rank === -1 ? 0 : 1 / (rank + 1);
    });
  for (const k of cutoffs.mapAtK)
    metrics[`map@${k}`] = average((hit, count) => {
      let seen = 0;
      const precisions = hit.slice(0, k).map((isHit, rank) => (isHit ? ++seen / (rank + 1) : 0));
      return precisions.reduce((sum, precision) => sum + precision, 0) / Math.min(k, count);
    });
  return metrics;
}
