import { checkInteger, checkObject } from '../errors.js';
import { rerankHits } from '../retriever/rerank.js';
import { checkBlend } from '../retriever/checks.js';
import { toScore } from '../retriever/metric.js';
import type { RetrieverCrossEncoder } from '../retriever/index.js';
import { checkCrossEncoder, Progress } from './embed.js';
import { hitRate, type HitRate } from './hit-rate-measure.js';
import { retrieve, type HitRateOptions, type HitRateReport, type SecondsPerQuery } from './hit-rate.js';

/** What {@link evaluateHitRateWithRerank} takes. */
export interface HitRateWithRerankOptions extends Omit<HitRateOptions, 'k'> {
  /** Scores question and context; a model of one label. */
  crossEncoder: RetrieverCrossEncoder;
  /** How many contexts the bi-encoder retrieves for each question. 30 unless given. */
  biK?: number;
  /** How many of them are kept behind the cross-encoder. 10 unless given. */
  crossK?: number;
  /** Weight of the retrieval score beside the cross-encoder's logit, as in `Retriever.rerank`; 0 unless given. */
  blend?: number;
}

/** What {@link evaluateHitRateWithRerank} gives: the measures of the `crossK` contexts kept. */
export interface HitRateWithRerankReport extends HitRate {
  biK: number;
  crossK: number;
  /** The hit rate over all of the biK candidates: the most that reranking can come to. */
  uncutHitRate: number;
  /** The bi-encoder's own order of the candidates. */
  retrieval: HitRateReport;
  /** Questions asked one at a time. */
  secondsPerQuery: SecondsPerQuery & { rerank: number };
}

/**
 * The hit rate of a bi-encoder with a cross-encoder behind it: of the biK contexts that {@link evaluateHitRate} retrieves
 * for a question the crossK that the cross-encoder scores highest are kept, and it hits where its own is among those.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_MODEL`, `ERR_NON_FINITE`; `signal.reason` where aborted
 */
export async function evaluateHitRateWithRerank(options: HitRateWithRerankOptions): Promise<HitRateWithRerankReport> {
  const { rows, crossEncoder, metric = 'l2', signal, onProgress } = checkObject('options', options);
  checkCrossEncoder(crossEncoder);
  const blend = checkBlend(options);
  const least = options.crossK === undefined ? 1 : checkInteger('crossK', options.crossK);
  const biK = checkInteger('biK', options.biK ?? 30, least);
  const crossK = options.crossK ?? Math.min(10, biK);

  const { report: retrieval, contexts, distances } = await retrieve({ ...options, k: biK });
  const progress = new Progress(rows.length, { onProgress, signal });
  const orders: number[][] = [];
  let rerankMs = 0;
  for (const [i, { question }] of rows.entries()) {
    const candidates = retrieval.predictions[i]!.map((context, rank) => ({
      id: String(context),
      text: contexts[context]!,
      metadata: context,
      score: 0,
      retrievalScore: toScore(metric, distances[i]![rank]!),
    }));
    const start = performance.now();
    const ranked = await progress.part(1, 1, () =>
      rerankHits(crossEncoder, question, candidates, { k: candidates.length, blend, signal }),
    );
    rerankMs += performance.now() - start;
    progress.notify();
    orders.push(ranked.map(({ metadata }) => metadata));
  }
  const rerank = rerankMs / 1000 / rows.length;
  const { embedding, search, total } = retrieval.secondsPerQuery;
  return {
    ...hitRate(
      rows,
      contexts,
      orders.map((order) => order.slice(0, crossK)),
      Math.min(crossK, contexts.length),
    ),
    biK,
    crossK,
    uncutHitRate: hitRate(rows, contexts, orders, retrieval.k).hitRate,
    retrieval,
    secondsPerQuery: { embedding, search, rerank, total: total + rerank },
  };
}
