import { FlatrankError, checkInteger, checkObject, describe } from '../errors.js';
import { checkBinary } from './binary-classification.js';
import { checkNumbers, checkPairs, optional } from './checks.js';
import { checkCrossEncoder, Progress } from './embed.js';
import { Evaluator, type EvaluatedCrossEncoder, type EvaluateOptions, type Metrics } from './evaluator.js';
import { mean } from './ranking-metrics.js';
import { binaryMetrics } from './thresholds.js';

/** What {@link CrossEncoderClassificationEvaluator} takes. */
export interface CrossEncoderClassificationOptions {
  sentencePairs: readonly (readonly [string, string])[];
  /** The class of each pair, from 0. */
  labels: readonly number[];
  /** Stands before every metric. */
  name?: string;
  promptName?: string;
  batchTokens?: number;
}

/**
 * How well a cross-encoder tells classes of pairs apart, as sentence-transformers' `CrossEncoderClassificationEvaluator`.
 * Of a model with one label: `accuracy`, `accuracy_threshold`, `f1`, `f1_threshold`, `precision`, `recall`, and
 * `average_precision`, which is primary. Of one with more: `f1_macro`, which is primary, `f1_micro` and `f1_weighted`.
 */
export class CrossEncoderClassificationEvaluator extends Evaluator<EvaluatedCrossEncoder> {
  readonly sentencePairs: readonly (readonly [string, string])[];
  readonly labels: readonly number[];
  readonly #options: CrossEncoderClassificationOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(options: CrossEncoderClassificationOptions) {
    super(checkObject('options', options).name);
    this.sentencePairs = checkPairs('sentencePairs', options.sentencePairs);
    this.labels = checkNumbers('labels', options.labels, this.sentencePairs.length);
    for (const [i, label] of this.labels.entries()) checkInteger(`labels[${i}]`, label, 0);
    this.#options = options;
  }

  override async evaluate(model: EvaluatedCrossEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkCrossEncoder(model);
    const n = this.labels.length;
    const scores = await new Progress(n, options).part(n, n, (call) =>
      model.predict(this.sentencePairs, {
        ...call,
        ...optional('promptName', this.#options.promptName),
        ...optional('batchTokens', this.#options.batchTokens),
      }),
    );
    const classes = scores.length / n;
    if (!(Number.isInteger(classes) && classes > 0))
      throw new FlatrankError('ERR_MODEL', `Expected scores for each of ${n} pairs but received ${describe(scores)}`);
    if (classes > 1) return this.report(f1Scores(this.labels, strongest(scores, classes)), 'f1_macro');
    const metrics: Metrics = binaryMetrics(Float32Array.from(scores), checkBinary(this.labels, n), true);
    const named = Object.entries(metrics).filter(([name]) => name !== 'mcc');
    const python = named.map(([name, value]) => [name === 'ap' ? 'average_precision' : name, value] as const);
    return this.report(Object.fromEntries(python), 'average_precision');
  }
}

/** (n) the class of the highest of each row's scores; the lower one of equal ones. */
function strongest(scores: ArrayLike<number>, classes: number): number[] {
  return Array.from({ length: scores.length / classes }, (_, i) => {
    const row = Array.from({ length: classes }, (__, c) => scores[i * classes + c]!);
    return row.indexOf(Math.max(...row));
  });
}

/** F1 over the classes that are there, as `sklearn.metrics.f1_score`. */
function f1Scores(actual: readonly number[], predicted: readonly number[]): Metrics {
  const classes = [...new Set([...actual, ...predicted])];
  const measured = classes.map((c) => {
    const truly = actual.filter((label) => label === c).length;
    const called = predicted.filter((label) => label === c).length;
    const both = actual.filter((label, i) => label === c && predicted[i] === c).length;
    return { f1: (2 * both) / (truly + called), truly };
  });
  return {
    f1_macro: mean(measured.map(({ f1 }) => f1)),
    f1_micro: actual.filter((label, i) => label === predicted[i]).length / actual.length,
    f1_weighted: measured.reduce((sum, { f1, truly }) => sum + f1 * truly, 0) / actual.length,
  };
}
