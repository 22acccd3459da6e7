/** Measures over ranks: what a system is worth, what one wins and loses against another, which blend is best. */
import type { QuestionContext } from '../evaluate/index.js';
import { mean } from '../evaluate/ranking-metrics.js';
import type { BlendTried, ChangedQuestion, TuneChange, TuneSystem } from './types.js';

/** For each question the rank of its own context, from 0; −1 where it was not found. */
export type Ranks = readonly number[];

const cutoffs = [1, 3, 5, 10, 30];
/** Questions that the report shows of those won and of those lost. */
const shown = 8;

/** The share of questions whose own context is among the first k. */
export const hitRateAt = (ranks: Ranks, k: number): number => mean(ranks.map((rank) => Number(rank >= 0 && rank < k)));

/** The mean of 1 / rank, of ranks up to k. */
export const mrrAt = (ranks: Ranks, k: number): number =>
  mean(ranks.map((rank) => (rank >= 0 && rank < k ? 1 / (rank + 1) : 0)));

/** The measures of ranks: hit rates up to `deepest`, MRR up to `k`. */
export function measuresOf(ranks: Ranks, k: number, deepest: number): Pick<TuneSystem, 'hitRates' | 'mrr'> {
  const at = [...new Set([...cutoffs.filter((cutoff) => cutoff < deepest), k, deepest])].filter((c) => c <= deepest);
  const hitRates = Object.fromEntries(at.sort((a, b) => a - b).map((cutoff) => [cutoff, hitRateAt(ranks, cutoff)]));
  return { hitRates, mrr: mrrAt(ranks, k) };
}

/** Where the own context of a question lands when candidates are ordered by logit + weight · retrieval score. */
export function blendedRanks(
  own: Ranks,
  logits: readonly (readonly number[])[],
  scores: readonly (readonly number[])[],
  weight: number,
): number[] {
  return own.map((rank, i) => {
    if (rank < 0 || rank >= logits[i]!.length) return -1;
    const blended = Float32Array.from(logits[i]!, (logit, j) => logit + weight * scores[i]![j]!);
    const mine = blended[rank]!;
    // Equal ones stay in the bi-encoder's order, as `Retriever.rerank` has it.
    return blended.reduce((before, score, j) => before + Number(score > mine || (score === mine && j < rank)), 0);
  });
}

/** Weights relative to how far logits and retrieval scores are spread. */
const relativeWeights = [0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];

/**
 * Tries weights of the retrieval score and finds the one of the highest MRR@k, of equal ones the smallest. They are
 * multiples of the logits' spread over the scores', so that they fit any similarity.
 */
export function chooseBlend(
  own: Ranks,
  logits: readonly (readonly number[])[],
  scores: readonly (readonly number[])[],
  k: number,
): { weight: number; tried: BlendTried[] } {
  const ratio = spread(logits) / spread(scores);
  const unit = Number.isFinite(ratio) && ratio > 0 ? ratio : 1;
  const tried = relativeWeights.map((relative) => {
    const weight = Number((relative * unit).toPrecision(2));
    const ranks = blendedRanks(own, logits, scores, weight);
    return { weight, hitRate: hitRateAt(ranks, k), mrr: mrrAt(ranks, k) };
  });
  return { weight: tried.reduce((best, one) => (one.mrr > best.mrr ? one : best)).weight, tried };
}

/** The mean over questions of the standard deviation over their candidates. */
function spread(lists: readonly (readonly number[])[]): number {
  return mean(
    lists.map((list) => {
      const middle = mean(list);
      return Math.sqrt(mean(list.map((value) => (value - middle) ** 2)));
    }),
  );
}

/** A system and its ranks. */
export interface Ranked {
  readonly name: TuneSystem['name'];
  readonly ranks: Ranks;
}

/** What the step from one system to another wins and loses, over the questions that both answered. */
export function changeOf(from: Ranked, to: Ranked, rows: readonly QuestionContext[], k: number): TuneChange {
  const questions = Math.min(from.ranks.length, to.ranks.length);
  const hit = ({ ranks }: Ranked, i: number, at: number): boolean => ranks[i]! >= 0 && ranks[i]! < at;
  const indices = Array.from({ length: questions }, (_, i) => i);
  const changed = (at: number): { won: number[]; lost: number[] } => ({
    won: indices.filter((i) => hit(to, i, at) && !hit(from, i, at)),
    lost: indices.filter((i) => hit(from, i, at) && !hit(to, i, at)),
  });
  const show = (list: readonly number[]): ChangedQuestion[] =>
    list.slice(0, shown).map((i) => ({
      question: rows[i]!.question,
      context: rows[i]!.context.slice(0, 160),
      from: hit(from, i, k) ? from.ranks[i]! + 1 : null,
      to: hit(to, i, k) ? to.ranks[i]! + 1 : null,
    }));
  const counts = [...new Set([1, k])].map((at) => {
    const { won, lost } = changed(at);
    return [String(at), { won: won.length, lost: lost.length, p: signTest(won.length, lost.length) }] as const;
  });
  const { won, lost } = changed(k);
  return {
    ...{ from: from.name, to: to.name, questions },
    counts: Object.fromEntries(counts),
    ...{ won: show(won), lost: show(lost) },
  };
}

/** The two-sided sign test: how likely a split as uneven as this is, where winning and losing are equally likely. */
export function signTest(won: number, lost: number): number {
  const n = won + lost;
  const least = Math.min(won, lost);
  let logChoose = 0;
  let tail = 0;
  for (let i = 0; i <= least; i++) {
    if (i > 0) logChoose += Math.log(n - i + 1) - Math.log(i);
    tail += Math.exp(logChoose - n * Math.LN2);
  }
  return Math.min(1, 2 * tail);
}
