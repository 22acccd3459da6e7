import type { InputExample } from '../data/index.js';
import { checkObject, invalidArgument } from '../errors.js';
import type { SimilarityFunction } from '../model/index.js';
import { checkExamples, checkNumbers, checkSameLength, checkTexts, optional } from './checks.js';
import { checkEncoder, embed, Progress } from './embed.js';
import { Evaluator, type EvaluatedEncoder, type EvaluateOptions, type Metrics } from './evaluator.js';
import { checkSimilarities, chooseSimilarities, pairSimilarities, rowsBetween } from './similarities.js';
import { binaryMetrics, type BinaryMetrics } from './thresholds.js';

/** What {@link BinaryClassificationEvaluator} takes. */
export interface BinaryClassificationOptions {
  sentences1: readonly string[];
  sentences2: readonly string[];
  /** 1 for pairs that are alike, 0 for others. */
  labels: readonly number[];
  /** Which similarities are measured; the model's own unless given. */
  similarityFnNames?: readonly SimilarityFunction[];
  /** Stands before every metric. */
  name?: string;
  truncateDim?: number;
  batchTokens?: number;
}

/**
 * How well the similarity of embeddings tells pairs that are alike from others, as sentence-transformers'
 * `BinaryClassificationEvaluator`. Metrics: `cosine_accuracy`, `cosine_accuracy_threshold`, `cosine_f1`,
 * `cosine_f1_threshold`, `cosine_precision`, `cosine_recall`, `cosine_ap`, `cosine_mcc` and so on (thresholds of
 * euclidean and manhattan are distances), and `max_*` where several are measured. Primary is `ap`.
 */
export class BinaryClassificationEvaluator extends Evaluator<EvaluatedEncoder> {
  readonly sentences1: readonly string[];
  readonly sentences2: readonly string[];
  readonly labels: readonly number[];
  readonly #names: readonly SimilarityFunction[];
  readonly #options: BinaryClassificationOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(options: BinaryClassificationOptions) {
    super(checkObject('options', options).name);
    this.sentences1 = checkTexts('sentences1', options.sentences1);
    this.sentences2 = checkTexts('sentences2', options.sentences2);
    checkSameLength('sentences2', this.sentences2, this.sentences1.length);
    this.labels = checkBinary(options.labels, this.sentences1.length);
    this.#names = checkSimilarities('similarityFnNames', options.similarityFnNames);
    this.#options = options;
  }

  /** The evaluator of examples with two texts and the label 0 or 1. */
  static fromInputExamples(
    examples: readonly InputExample[],
    options: Omit<BinaryClassificationOptions, 'sentences1' | 'sentences2' | 'labels'> = {},
  ): BinaryClassificationEvaluator {
    const pairs = checkExamples('examples', examples, 2);
    return new BinaryClassificationEvaluator({
      ...checkObject('options', options),
      sentences1: pairs.map(({ texts }) => texts[0]!),
      sentences2: pairs.map(({ texts }) => texts[1]!),
      labels: pairs.map(({ label }) => label!),
    });
  }

  override async evaluate(model: EvaluatedEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkEncoder(model);
    const n = this.labels.length;
    const texts = [...this.sentences1, ...this.sentences2];
    const embeddings = await embed(model, 'text', texts, new Progress(texts.length, options), {
      ...optional('truncateDim', this.#options.truncateDim),
      ...optional('batchTokens', this.#options.batchTokens),
    });
    const [left, right] = [rowsBetween(embeddings, 0, n), rowsBetween(embeddings, n, 2 * n)];
    const names = chooseSimilarities(this.#names, model);
    const measured: BinaryMetrics[] = [];
    const metrics: Metrics = {};
    for (const name of names) {
      const isDistance = name === 'euclidean' || name === 'manhattan';
      const similarities = await pairSimilarities(name, left, right);
      const scores = isDistance ? similarities.map((value) => -value) : similarities;
      const own = binaryMetrics(scores, this.labels, !isDistance);
      measured.push(own);
      for (const [metric, value] of Object.entries(own)) metrics[`${name}_${metric}`] = value;
    }
    if (names.length > 1)
      for (const metric of Object.keys(measured[0]!))
        metrics[`max_${metric}`] = Math.max(...measured.map((own) => own[metric]!));
    return this.report(metrics, `${names.length > 1 ? 'max' : names[0]!}_ap`);
  }
}

/** Checks that `labels` are `count` times 0 or 1, one at least. */
export function checkBinary(value: unknown, count: number): readonly number[] {
  const labels = checkNumbers('labels', value, count);
  if (count === 0) throw invalidArgument('labels', 'one label at least', value);
  const bad = labels.findIndex((label) => label !== 0 && label !== 1);
  if (bad !== -1) throw invalidArgument(`labels[${bad}]`, '0 or 1', labels[bad]);
  return labels;
}
