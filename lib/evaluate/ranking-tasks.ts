/** What the evaluators of reranking share: queries with documents to rank, and the measures of a ranking. */
import { invalidArgument } from '../errors.js';
import { checkTexts } from './checks.js';
import type { Metrics } from './evaluator.js';
import { averagePrecision, mean, ndcgOfScores, reciprocalRank } from './ranking-metrics.js';

/** A query with documents that answer it and documents that do not. */
export interface RerankingSample {
  query: string;
  positive: string | readonly string[];
  negative: string | readonly string[];
}

/** A query and the documents to be ranked. */
export interface RankingTask {
  query: string;
  documents: readonly string[];
  relevant: readonly boolean[];
}

/** The means over `count` queries, of which those that are not among the tasks count 0. */
export function measureRankings(
  tasks: readonly { relevant: readonly boolean[] }[],
  scores: readonly ArrayLike<number>[],
  k: number,
  count = tasks.length,
): Metrics {
  const average = (of: (relevant: readonly boolean[], scores: ArrayLike<number>) => number): number =>
    tasks.length === 0 ? 0 : (mean(tasks.map(({ relevant }, i) => of(relevant, scores[i]!))) * tasks.length) / count;
  return {
    map: average(averagePrecision),
    [`mrr@${k}`]: average((relevant, own) => reciprocalRank(relevant, own, k)),
    [`ndcg@${k}`]: average((relevant, own) => ndcgOfScores(relevant, own, k)),
  };
}

export function taskOf(query: string, positive: readonly string[], negative: readonly string[]): RankingTask {
  const relevant = [...positive.map(() => true), ...negative.map(() => false)];
  return { query, documents: [...positive, ...negative], relevant };
}

export function queryOf(sample: { query: string }, i: number): string {
  if (typeof sample?.query !== 'string') throw invalidArgument(`samples[${i}].query`, 'a string', sample?.query);
  return sample.query;
}

export function listOf(name: string, value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : checkTexts(name, value);
}
