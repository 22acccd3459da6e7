import { setImmediate as nextTurn } from 'node:timers/promises';
import { checkInteger, checkObject } from '../errors.js';
import { Bm25, type Bm25Options } from './bm25.js';
import { checkRows, corpusOf, hitRate, type HitRate, type HitRateData } from './hit-rate-measure.js';

/**
 * The hit rate of BM25 on the same task: the baseline beside a model's.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`; `signal.reason` where aborted
 */
export async function evaluateBm25HitRate(
  options: HitRateData & Bm25Options & { k?: number; signal?: AbortSignal },
): Promise<HitRate> {
  const { rows, signal } = checkObject('options', options);
  checkRows(rows);
  const contexts = corpusOf(options);
  const k = Math.min(checkInteger('k', options.k ?? 10), contexts.length);
  const bm25 = new Bm25(contexts, options);
  const predictions: number[][] = [];
  for (const { question } of rows) {
    predictions.push([...bm25.search(question, k).labels]);
    if (predictions.length % 32 === 0) await nextTurn(undefined, signal ? { signal } : {});
  }
  return hitRate(rows, contexts, predictions, k);
}
