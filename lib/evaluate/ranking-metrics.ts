/**
 * Average precision of scores for binary relevance, as `sklearn.metrics.average_precision_score`: Σ (Rₙ − Rₙ₋₁) Pₙ over
 * the distinct scores, so that documents of equal score count together. 0 where nothing is relevant.
 */
export function averagePrecision(relevant: readonly boolean[], scores: ArrayLike<number>): number {
  const positives = relevant.filter(Boolean).length;
  let sum = 0;
  let [seen, found] = [0, 0];
  for (const group of groupsByScore(scores)) {
    const hits = group.filter((i) => relevant[i]).length;
    seen += group.length;
    found += hits;
    if (hits > 0) sum += (hits / positives) * (found / seen);
  }
  return sum;
}

/**
 * NDCG at k of scores for binary relevance, as `sklearn.metrics.ndcg_score`: documents of equal score share the mean gain
 * of theirs (McSherry and Najork 2008). 0 where nothing is relevant.
 */
export function ndcgOfScores(relevant: readonly boolean[], scores: ArrayLike<number>, k: number): number {
  let dcg = 0;
  let rank = 0;
  for (const group of groupsByScore(scores)) {
    const gain = group.filter((i) => relevant[i]).length / group.length;
    for (let i = 0; i < group.length; i++, rank++) if (rank < k) dcg += gain * discount(rank);
  }
  const ideal = idealDcg(relevant.filter(Boolean).length, k);
  return ideal === 0 ? 0 : dcg / ideal;
}

/** The DCG at k of a ranking that begins with all of `count` relevant documents. */
export function idealDcg(count: number, k: number): number {
  let dcg = 0;
  for (let rank = 0; rank < Math.min(count, k); rank++) dcg += discount(rank);
  return dcg;
}

/** What a relevant document counts at a rank, from 0. */
export function discount(rank: number): number {
  return 1 / Math.log2(rank + 2);
}

/** 1 / the rank, from 1, of the first relevant document in the order of scores; 0 where it is behind k. */
export function reciprocalRank(relevant: readonly boolean[], scores: ArrayLike<number>, k: number): number {
  const rank = orderByScore(scores)
    .slice(0, k)
    .findIndex((i) => relevant[i]);
  return rank === -1 ? 0 : 1 / (rank + 1);
}

/** Positions by descending score; equal ones keep their order. */
export function orderByScore(scores: ArrayLike<number>): number[] {
  return Array.from({ length: scores.length }, (_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
}

/** The mean of numbers; `NaN` of none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Positions that share a score, by descending score. */
function groupsByScore(scores: ArrayLike<number>): number[][] {
  const groups: number[][] = [];
  for (const i of orderByScore(scores)) {
    const last = groups.at(-1);
    if (last && scores[last[0]!] === scores[i]) last.push(i);
    else groups.push([i]);
  }
  return groups;
}
