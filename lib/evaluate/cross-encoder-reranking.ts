import { checkArray, checkInteger, checkObject, invalidArgument } from '../errors.js';
import { checkTexts, optional } from './checks.js';
import { checkCrossEncoder, predict, Progress } from './embed.js';
import { Evaluator, type EvaluatedCrossEncoder, type EvaluateOptions, type Metrics } from './evaluator.js';
import { listOf, measureRankings, queryOf, taskOf, type RankingTask, type RerankingSample } from './ranking-tasks.js';

/** What {@link CrossEncoderRerankingEvaluator} takes. */
export interface CrossEncoderRerankingOptions {
  /**
   * Samples have `negative`, or `documents`: a ranking by another model, best first, whose own measures are then given
   * as `base_*`.
   */
  samples: readonly (RerankingSample | (Omit<RerankingSample, 'negative'> & { documents: readonly string[] }))[];
  atK?: number;
  /** Of `documents`: whether positives that are not among them are ranked as well. True unless given. */
  alwaysRerankPositives?: boolean;
  name?: string;
  promptName?: string;
  batchTokens?: number;
}

/**
 * Ranking of given documents for each query by a cross-encoder, as sentence-transformers'
 * `CrossEncoderRerankingEvaluator`. Metrics: `map`, `mrr@k`, and `ndcg@k`, which is primary; with `documents` also
 * `base_map`, `base_mrr@k` and `base_ndcg@k` of the ranking as given.
 */
export class CrossEncoderRerankingEvaluator extends Evaluator<EvaluatedCrossEncoder> {
  readonly atK: number;
  readonly #tasks: RankingTask[] = [];
  /** The documents in the order given, behind them the positives that are missing; where samples have `documents`. */
  readonly #base: (RankingTask | undefined)[] = [];
  readonly #options: CrossEncoderRerankingOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(options: CrossEncoderRerankingOptions) {
    const atK = checkInteger('atK', checkObject('options', options).atK ?? 10);
    super(options.name, `ndcg@${atK}`);
    this.atK = atK;
    this.#options = options;
    for (const [i, sample] of checkArray('samples', options.samples).entries()) {
      const query = queryOf(sample, i);
      const positive = listOf(`samples[${i}].positive`, sample.positive);
      if (!('documents' in sample)) {
        this.#tasks.push(taskOf(query, positive, listOf(`samples[${i}].negative`, sample.negative)));
        continue;
      }
      if ('negative' in sample) throw invalidArgument(`samples[${i}]`, 'with `negative` or `documents`', 'both');
      const documents = checkTexts(`samples[${i}].documents`, sample.documents);
      const relevant = documents.map((document) => positive.includes(document));
      const found = relevant.filter(Boolean).length;
      const missing = Math.max(0, positive.length - found);
      this.#base.push(
        found === 0
          ? undefined
          : { query, documents, relevant: [...relevant, ...Array.from({ length: missing }, () => true)] },
      );
      if (options.alwaysRerankPositives ?? true)
        this.#tasks.push(
          taskOf(
            query,
            positive,
            documents.filter((_, at) => !relevant[at]),
          ),
        );
      else this.#tasks.push({ query, documents, relevant });
    }
    if (this.#tasks.length === 0) throw invalidArgument('samples', 'one sample at least', options.samples);
  }

  override async evaluate(model: EvaluatedCrossEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkCrossEncoder(model);
    // A query without a relevant document counts 0 and need not be scored.
    const scored = this.#tasks.filter(({ relevant }) => relevant.includes(true));
    const pairs = scored.flatMap(({ query, documents }) => documents.map((document) => [query, document] as const));
    const all = await predict(model, pairs, new Progress(pairs.length, options), {
      ...optional('promptName', this.#options.promptName),
      ...optional('batchTokens', this.#options.batchTokens),
    });
    const values = Float64Array.from(all);
    let next = 0;
    const scores = scored.map(({ documents }) => values.subarray(next, (next += documents.length)));
    // Backwards, so that of equal scores the last document is ranked first, as Python's reversed sort does: the positives
    // stand in front and must not win by that.
    const metrics = measureRankings(
      scored.map(({ relevant }) => ({ relevant: relevant.toReversed() })),
      scores.map((own) => own.toReversed()),
      this.atK,
      this.#tasks.length,
    );
    if (this.#base.length === 0) return this.report(metrics, `ndcg@${this.atK}`);

    const base = this.#base.filter((task) => task !== undefined);
    const inOrder = base.map(({ relevant }) => relevant.map((_, i) => relevant.length - i));
    for (const [metric, value] of Object.entries(measureRankings(base, inOrder, this.atK, this.#base.length)))
      metrics[`base_${metric}`] = value;
    return this.report(metrics, `ndcg@${this.atK}`);
  }
}
