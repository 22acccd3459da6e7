import type { InputExample } from '../data/index.js';
import { checkObject, checkOneOf, invalidArgument } from '../errors.js';
import { similarityFunctions, type SimilarityFunction } from '../model/index.js';
import { checkExamples, checkSameLength, checkTexts, optional } from './checks.js';
import { checkEncoder, embed, Progress } from './embed.js';
import { Evaluator, type EvaluatedEncoder, type EvaluateOptions, type Metrics } from './evaluator.js';
import { checkSimilarities, chooseSimilarities, pairSimilarities, rowsBetween } from './similarities.js';

/** What {@link TripletEvaluator} takes. */
export interface TripletOptions {
  anchors: readonly string[];
  /** What each anchor should be closer to … */
  positives: readonly string[];
  /** … than to this. */
  negatives: readonly string[];
  /** By how much closer; for all similarities, or for each. 0 unless given. */
  margin?: number | Partial<Record<SimilarityFunction, number>>;
  /** Which similarities are measured; the model's own unless given. */
  similarityFnNames?: readonly SimilarityFunction[];
  /** The similarity whose accuracy is primary. */
  mainSimilarityFunction?: SimilarityFunction;
  /** Stands before every metric. */
  name?: string;
  truncateDim?: number;
  batchTokens?: number;
}

/**
 * How often an anchor is closer to its positive than to its negative, as sentence-transformers' `TripletEvaluator`.
 * Metrics: `cosine_accuracy` and so on, and `max_accuracy` where several are measured. Primary is that of
 * `mainSimilarityFunction`, else the only or the largest one.
 */
export class TripletEvaluator extends Evaluator<EvaluatedEncoder> {
  readonly #texts: readonly (readonly string[])[];
  readonly #names: readonly SimilarityFunction[];
  readonly #margins: Partial<Record<SimilarityFunction, number>>;
  readonly #options: TripletOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(options: TripletOptions) {
    super(checkObject('options', options).name);
    const anchors = checkTexts('anchors', options.anchors);
    const positives = checkTexts('positives', options.positives);
    const negatives = checkTexts('negatives', options.negatives);
    if (anchors.length === 0) throw invalidArgument('anchors', 'one text at least', anchors);
    checkSameLength('positives', positives, anchors.length);
    checkSameLength('negatives', negatives, anchors.length);
    this.#texts = [anchors, positives, negatives];
    const main = options.mainSimilarityFunction;
    if (main !== undefined) checkOneOf('mainSimilarityFunction', main, similarityFunctions);
    const names = checkSimilarities('similarityFnNames', options.similarityFnNames);
    this.#names = names.length === 0 && main !== undefined ? [main] : names;
    this.#margins = marginsOf(options.margin ?? 0);
    this.#options = options;
  }

  /** The evaluator of examples with three texts: anchor, positive, negative. */
  static fromInputExamples(
    examples: readonly InputExample[],
    options: Omit<TripletOptions, 'anchors' | 'positives' | 'negatives'> = {},
  ): TripletEvaluator {
    const triplets = checkExamples('examples', examples, 3);
    const column = (i: number): string[] => triplets.map(({ texts }) => texts[i]!);
    return new TripletEvaluator({
      ...checkObject('options', options),
      anchors: column(0),
      positives: column(1),
      negatives: column(2),
    });
  }

  override async evaluate(model: EvaluatedEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkEncoder(model);
    const [anchors, positives, negatives] = this.#texts as [string[], string[], string[]];
    const n = anchors.length;
    const progress = new Progress(3 * n, options);
    const encode = {
      ...optional('truncateDim', this.#options.truncateDim),
      ...optional('batchTokens', this.#options.batchTokens),
    };
    const queries = await embed(model, 'query', anchors, progress, encode);
    const documents = await embed(model, 'document', [...positives, ...negatives], progress, encode);
    const names = chooseSimilarities(this.#names, model);
    const metrics: Metrics = {};
    for (const name of names) {
      const near = await pairSimilarities(name, queries, rowsBetween(documents, 0, n));
      const far = await pairSimilarities(name, queries, rowsBetween(documents, n, 2 * n));
      const margin = this.#margins[name] ?? 0;
      metrics[`${name}_accuracy`] = near.filter((value, i) => value > Math.fround(far[i]! + margin)).length / n;
    }
    if (names.length > 1) metrics['max_accuracy'] = Math.max(...Object.values(metrics));
    const main = this.#options.mainSimilarityFunction ?? (names.length > 1 ? 'max' : names[0]!);
    return this.report(metrics, `${main}_accuracy`);
  }
}

function marginsOf(margin: unknown): Partial<Record<SimilarityFunction, number>> {
  const entries =
    typeof margin === 'object' && margin !== null
      ? Object.entries(margin)
      : similarityFunctions.map((name) => [name, margin] as const);
  for (const [name, value] of entries) {
    checkOneOf('margin', name, similarityFunctions);
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw invalidArgument('margin', 'a finite number, or one for each similarity function', value);
  }
  return Object.fromEntries(entries);
}
