import { checkObject, checkOneOf, invalidArgument } from '../errors.js';
import { similarityFunctions, type SimilarityFunction } from '../model/index.js';
import type { InputExample } from '../data/index.js';
import { checkExamples, checkNumbers, checkSameLength, checkTexts, optional } from './checks.js';
import { pearson, spearman } from './correlation.js';
import { checkEncoder, embed, Progress } from './embed.js';
import { Evaluator, type EvaluatedEncoder, type EvaluateOptions, type Metrics } from './evaluator.js';
import { checkSimilarities, chooseSimilarities, pairSimilarities, rowsBetween } from './similarities.js';

/** What {@link EmbeddingSimilarityEvaluator} takes. */
export interface EmbeddingSimilarityOptions {
  /** The first sentence of each pair. */
  sentences1: readonly string[];
  /** The second one. */
  sentences2: readonly string[];
  /** How alike people find them; any scale. */
  scores: readonly number[];
  /** Which similarities are measured; the model's own unless given. */
  similarityFnNames?: readonly SimilarityFunction[];
  /** The similarity whose Spearman correlation is primary. */
  mainSimilarity?: SimilarityFunction;
  /** Stands before every metric. */
  name?: string;
  /** Embeddings are cut to their first values. */
  truncateDim?: number;
  batchTokens?: number;
}

/**
 * Correlation between the similarity of a model's embeddings and people's judgement, as sentence-transformers'
 * `EmbeddingSimilarityEvaluator` (STS). Metrics: `pearson_cosine`, `spearman_cosine` and so on for `dot`, `euclidean` and
 * `manhattan` (as negated distances), and `pearson_max` and `spearman_max` where several are measured. Primary is
 * Spearman's of `mainSimilarity`, else of cosine where it is among them, else the only or the largest one.
 */
export class EmbeddingSimilarityEvaluator extends Evaluator<EvaluatedEncoder> {
  readonly sentences1: readonly string[];
  readonly sentences2: readonly string[];
  readonly scores: readonly number[];
  readonly similarityFnNames: readonly SimilarityFunction[];
  readonly mainSimilarity: SimilarityFunction | undefined;
  readonly truncateDim: number | undefined;
  readonly batchTokens: number | undefined;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(options: EmbeddingSimilarityOptions) {
    super(checkObject('options', options).name);
    this.sentences1 = checkTexts('sentences1', options.sentences1);
    this.sentences2 = checkTexts('sentences2', options.sentences2);
    checkSameLength('sentences2', this.sentences2, this.sentences1.length);
    this.scores = checkNumbers('scores', options.scores, this.sentences1.length);
    if (this.scores.length < 2) throw invalidArgument('scores', 'two numbers at least', options.scores);
    const { mainSimilarity } = options;
    this.mainSimilarity =
      mainSimilarity === undefined ? undefined : checkOneOf('mainSimilarity', mainSimilarity, similarityFunctions);
    const names = checkSimilarities('similarityFnNames', options.similarityFnNames);
    this.similarityFnNames = names.length === 0 && this.mainSimilarity ? [this.mainSimilarity] : names;
    this.truncateDim = options.truncateDim;
    this.batchTokens = options.batchTokens;
  }

  /** The evaluator of examples with two texts and a label. */
  static fromInputExamples(
    examples: readonly InputExample[],
    options: Omit<EmbeddingSimilarityOptions, 'sentences1' | 'sentences2' | 'scores'> = {},
  ): EmbeddingSimilarityEvaluator {
    const pairs = checkExamples('examples', examples, 2);
    return new EmbeddingSimilarityEvaluator({
      ...checkObject('options', options),
      sentences1: pairs.map(({ texts }) => texts[0]!),
      sentences2: pairs.map(({ texts }) => texts[1]!),
      scores: pairs.map(({ label }) => label!),
    });
  }

  override async evaluate(model: EvaluatedEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkEncoder(model);
    const n = this.scores.length;
    const texts = [...this.sentences1, ...this.sentences2];
    const embeddings = await embed(model, 'text', texts, new Progress(texts.length, options), {
      ...optional('truncateDim', this.truncateDim),
      ...optional('batchTokens', this.batchTokens),
    });
    const names = chooseSimilarities(this.similarityFnNames, model);
    const metrics: Metrics = {};
    for (const name of names) {
      const similarities = await pairSimilarities(
        name,
        rowsBetween(embeddings, 0, n),
        rowsBetween(embeddings, n, 2 * n),
      );
      metrics[`pearson_${name}`] = pearson(this.scores, similarities);
      metrics[`spearman_${name}`] = spearman(this.scores, similarities);
    }
    if (names.length > 1)
      for (const kind of ['pearson', 'spearman'])
        metrics[`${kind}_max`] = largest(names.map((name) => metrics[`${kind}_${name}`]!));
    const several = names.length > 1 ? 'max' : names[0]!;
    const main = this.mainSimilarity ?? (names.includes('cosine') ? 'cosine' : several);
    return this.report(metrics, `spearman_${main}`);
  }
}

/** The largest number; `NaN` only where all are. */
function largest(values: readonly number[]): number {
  const numbers = values.filter((value) => !Number.isNaN(value));
  return numbers.length === 0 ? NaN : Math.max(...numbers);
}
