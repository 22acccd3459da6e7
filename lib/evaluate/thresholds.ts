import { averagePrecision } from './ranking-metrics.js';

/** How well a threshold on scores tells two classes apart. */
export interface BinaryMetrics extends Record<string, number> {
  /** The best accuracy any threshold gives, and that threshold. */
  accuracy: number;
  accuracy_threshold: number;
  /** The best F1, its threshold, and precision and recall there. */
  f1: number;
  f1_threshold: number;
  precision: number;
  recall: number;
  /** Average precision, which needs no threshold. */
  ap: number;
  /** Matthews' correlation at the threshold of F1. */
  mcc: number;
}

/**
 * Measures scores (float32) for labels 0 and 1, as sentence-transformers' `BinaryClassificationEvaluator`.
 * @param higherIsPositive false for distances
 */
export function binaryMetrics(
  scores: Float32Array,
  labels: readonly number[],
  higherIsPositive: boolean,
): BinaryMetrics {
  const sign = higherIsPositive ? 1 : -1;
  const relevant = labels.map((label) => label === 1);
  const cuts = cutsOf(scores, relevant, sign);
  const n = labels.length;
  const positives = relevant.filter(Boolean).length;

  // A threshold before all scores calls nothing positive.
  let best = { accuracy: (n - positives) / n, threshold: n === 0 ? -1 : nextFloat(sign * cuts[0]!.first, sign) };
  let bestF1 = { f1: 0, threshold: 0, precision: 0, recall: 0 };
  for (const { taken, hits, threshold } of cuts) {
    const accuracy = (hits + (n - positives) - (taken - hits)) / n;
    if (accuracy > best.accuracy) best = { accuracy, threshold };
    if (hits === 0) continue;
    const [precision, recall] = [hits / taken, hits / positives];
    const f1 = (2 * precision * recall) / (precision + recall);
    if (f1 > bestF1.f1) bestF1 = { f1, threshold, precision, recall };
  }
  const predicted = Array.from(scores, (score) => sign * score >= sign * bestF1.threshold);
  return {
    accuracy: best.accuracy,
    accuracy_threshold: best.threshold,
    f1: bestF1.f1,
    f1_threshold: bestF1.threshold,
    precision: bestF1.precision,
    recall: bestF1.recall,
    ap: averagePrecision(
      relevant,
      scores.map((score) => sign * score),
    ),
    mcc: matthews(relevant, predicted),
  };
}

/** Where scores, best first, can be cut in two: behind each group of equal ones. */
interface Cut {
  /** The best score of all, signed. */
  first: number;
  /** How many are before the cut, and how many of them are positive. */
  taken: number;
  hits: number;
  /** Half-way to the next score, in float32; the last score itself behind the last one. */
  threshold: number;
}

function cutsOf(scores: Float32Array, relevant: readonly boolean[], sign: number): Cut[] {
  const order = Array.from(scores, (_, i) => i).sort((i, j) => sign * (scores[j]! - scores[i]!));
  const cuts: Cut[] = [];
  let hits = 0;
  for (const [at, i] of order.entries()) {
    if (relevant[i]) hits++;
    const score = scores[i]!;
    const next = at + 1 < order.length ? scores[order[at + 1]!]! : undefined;
    if (next === score) continue;
    const middle = next === undefined ? score : Math.fround(Math.fround(score + next) / 2);
    const first = sign * scores[order[0]!]!;
    // A midpoint that rounds to the next score would take that in as well.
    cuts.push({ first, taken: at + 1, hits, threshold: middle === next ? score : middle });
  }
  return cuts;
}

/** Matthews' correlation of two classifications, as `sklearn.metrics.matthews_corrcoef`; 0 where one is constant. */
function matthews(actual: readonly boolean[], predicted: readonly boolean[]): number {
  const n = actual.length;
  const a = actual.filter(Boolean).length;
  const p = predicted.filter(Boolean).length;
  const both = actual.filter((value, i) => value && predicted[i]).length;
  const spread = Math.sqrt(a * (n - a) * p * (n - p));
  return spread === 0 ? 0 : (n * both - a * p) / spread;
}

/** The float32 next to `value` in the direction of `sign`, as numpy's `nextafter`. */
function nextFloat(value: number, sign: number): number {
  const float = Float32Array.of(value);
  const bits = new Int32Array(float.buffer);
  if (float[0] === 0) return sign * 2 ** -149;
  bits[0]! += float[0]! > 0 === sign > 0 ? 1 : -1;
  return float[0]!;
}
