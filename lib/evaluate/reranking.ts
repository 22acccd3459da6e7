import { checkArray, checkInteger, checkObject, checkOneOf, invalidArgument } from '../errors.js';
import { similarityFunctions, type SimilarityFunction } from '../model/index.js';
import { similarityMatrix } from '../model/similarity.js';
import { optional } from './checks.js';
import { checkEncoder, embed, Progress } from './embed.js';
import { Evaluator, type EvaluatedEncoder, type EvaluateOptions, type Metrics } from './evaluator.js';
import { listOf, measureRankings, queryOf, taskOf, type RankingTask, type RerankingSample } from './ranking-tasks.js';
import { rowOf, rowsBetween } from './similarities.js';

/** What {@link RerankingEvaluator} takes. */
export interface RerankingOptions {
  /** Samples without a positive or a negative are left out. */
  samples: readonly RerankingSample[];
  /** How many documents MRR and NDCG look at. 10 unless given. */
  atK?: number;
  /** How query and document are compared; 'cosine' unless given. */
  similarityFnName?: SimilarityFunction;
  /** Stands before every metric. */
  name?: string;
  truncateDim?: number;
  batchTokens?: number;
}

/**
 * Ranking of given documents for each query by a bi-encoder, as sentence-transformers' `RerankingEvaluator`. Metrics:
 * `map`, `mrr@k`, and `ndcg@k`, which is primary.
 */
export class RerankingEvaluator extends Evaluator<EvaluatedEncoder> {
  readonly atK: number;
  readonly #tasks: readonly RankingTask[];
  readonly #options: RerankingOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT`, also where no sample has a positive and a negative */
  constructor(options: RerankingOptions) {
    const atK = checkInteger('atK', checkObject('options', options).atK ?? 10);
    super(options.name, `ndcg@${atK}`);
    this.atK = atK;
    checkOneOf('similarityFnName', options.similarityFnName ?? 'cosine', similarityFunctions);
    this.#tasks = checkArray('samples', options.samples)
      .map((sample, i) => ({
        query: queryOf(sample, i),
        positive: listOf(`samples[${i}].positive`, sample.positive),
        negative: listOf(`samples[${i}].negative`, sample.negative),
      }))
      .filter(({ positive, negative }) => positive.length > 0 && negative.length > 0)
      .map(({ query, positive, negative }) => taskOf(query, positive, negative));
    if (this.#tasks.length === 0)
      throw invalidArgument('samples', 'samples with a positive and a negative', options.samples);
    this.#options = options;
  }

  override async evaluate(model: EvaluatedEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkEncoder(model);
    const texts = this.#tasks.flatMap(({ documents }) => documents);
    const progress = new Progress(this.#tasks.length + texts.length, options);
    const encode = {
      ...optional('truncateDim', this.#options.truncateDim),
      ...optional('batchTokens', this.#options.batchTokens),
    };
    const queries = await embed(
      model,
      'query',
      this.#tasks.map(({ query }) => query),
      progress,
      encode,
    );
    const documents = await embed(model, 'document', texts, progress, encode);
    const similarity = this.#options.similarityFnName ?? 'cosine';
    let next = 0;
    const scores = this.#tasks.map((task, i) => {
      const own = rowsBetween(documents, next, (next += task.documents.length));
      return similarityMatrix(similarity, rowOf(queries, i), own).data;
    });
    return this.report(measureRankings(this.#tasks, scores, this.atK), `ndcg@${this.atK}`);
  }
}
