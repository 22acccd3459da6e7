import type { InputExample } from '../data/index.js';
import { checkObject, invalidArgument } from '../errors.js';
import { checkExamples, checkNumbers, checkPairs, optional } from './checks.js';
import { pearson, spearman } from './correlation.js';
import { checkCrossEncoder, predict, Progress } from './embed.js';
import { Evaluator, type EvaluatedCrossEncoder, type EvaluateOptions, type Metrics } from './evaluator.js';

/** What {@link CrossEncoderCorrelationEvaluator} takes. */
export interface CrossEncoderCorrelationOptions {
  sentencePairs: readonly (readonly [string, string])[];
  /** How alike or relevant people find them; any scale. */
  scores: readonly number[];
  /** Stands before every metric. */
  name?: string;
  /** Which of the model's prompts stands before the first text of each pair. */
  promptName?: string;
  batchTokens?: number;
}

/**
 * Correlation between a cross-encoder's scores and people's judgement, as sentence-transformers'
 * `CrossEncoderCorrelationEvaluator`. Metrics: `pearson`, and `spearman`, which is primary.
 */
export class CrossEncoderCorrelationEvaluator extends Evaluator<EvaluatedCrossEncoder> {
  readonly sentencePairs: readonly (readonly [string, string])[];
  readonly scores: readonly number[];
  readonly promptName: string | undefined;
  readonly batchTokens: number | undefined;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(options: CrossEncoderCorrelationOptions) {
    super(checkObject('options', options).name, 'spearman');
    this.sentencePairs = checkPairs('sentencePairs', options.sentencePairs);
    this.scores = checkNumbers('scores', options.scores, this.sentencePairs.length);
    if (this.scores.length < 2) throw invalidArgument('scores', 'two numbers at least', options.scores);
    this.promptName = options.promptName;
    this.batchTokens = options.batchTokens;
  }

  /** The evaluator of examples with two texts and a label. */
  static fromInputExamples(
    examples: readonly InputExample[],
    options: Omit<CrossEncoderCorrelationOptions, 'sentencePairs' | 'scores'> = {},
  ): CrossEncoderCorrelationEvaluator {
    const pairs = checkExamples('examples', examples, 2);
    return new CrossEncoderCorrelationEvaluator({
      ...checkObject('options', options),
      sentencePairs: pairs.map(({ texts }) => texts as unknown as [string, string]),
      scores: pairs.map(({ label }) => label!),
    });
  }

  override async evaluate(model: EvaluatedCrossEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkCrossEncoder(model);
    const scores = await predict(model, this.sentencePairs, new Progress(this.scores.length, options), {
      ...optional('promptName', this.promptName),
      ...optional('batchTokens', this.batchTokens),
    });
    const metrics = { pearson: pearson(this.scores, scores), spearman: spearman(this.scores, scores) };
    return this.report(metrics, 'spearman');
  }
}
