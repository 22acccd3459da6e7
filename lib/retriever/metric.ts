import { FlatrankError, checkOneOf, describe } from '../errors.js';
import type { RetrieverEncoder, RetrieverMetric } from './types.js';

const metrics = ['cosine', 'dot', 'l2'] as const satisfies readonly RetrieverMetric[];

const metricOfSimilarity: Readonly<Record<string, RetrieverMetric>> = { cosine: 'cosine', dot: 'dot', euclidean: 'l2' };

/**
 * The metric given, else the one of the model's own similarity, else cosine.
 * @throws FlatrankError `ERR_UNSUPPORTED` where the model's similarity has no exact index
 */
export function chooseMetric(metric: RetrieverMetric | undefined, encoder: RetrieverEncoder): RetrieverMetric {
  if (metric !== undefined) return checkOneOf('metric', metric, metrics);
  const similarity = encoder.similarityFnName;
  if (similarity === undefined) return 'cosine';
  if (Object.hasOwn(metricOfSimilarity, similarity)) return metricOfSimilarity[similarity]!;
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected a model of cosine, dot or euclidean similarity but received one of ${describe(similarity)}: ` +
      "give `metric` ('cosine', 'dot' or 'l2') to use it all the same",
  );
}

/** Turns what the index reports into a score, higher for better: sentence-transformers' similarity of that metric. */
export function toScore(metric: RetrieverMetric, distance: number): number {
  return metric === 'l2' ? -Math.sqrt(distance) : distance;
}
