import { checkArray, checkInteger, checkOneOf, invalidArgument } from '../errors.js';
import { similarityFunctions, type SimilarityFunction } from '../model/index.js';
import { similarityMatrix } from '../model/similarity.js';
import { checkTexts, optional } from './checks.js';
import { checkCrossEncoder, checkEncoder, embed, predict, Progress } from './embed.js';
import {
  Evaluator,
  type EvaluatedCrossEncoder,
  type EvaluatedEncoder,
  type EvaluateOptions,
  type Metrics,
} from './evaluator.js';
import { averagePrecision, mean, ndcgOfScores, reciprocalRank } from './ranking-metrics.js';
import { rowOf, rowsBetween } from './similarities.js';

/** A query with documents that answer it and documents that do not. */
export interface RerankingSample {
  query: string;
  positive: string | readonly string[];
  negative: string | readonly string[];
}

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

/** A query and the documents to be ranked. */
interface Task {
  query: string;
  documents: readonly string[];
  relevant: readonly boolean[];
}

/**
 * Ranking of given documents for each query by a bi-encoder, as sentence-transformers' `RerankingEvaluator`. Metrics:
 * `map`, `mrr@k`, and `ndcg@k`, which is primary.
 */
export class RerankingEvaluator extends Evaluator<EvaluatedEncoder> {
  readonly atK: number;
  readonly #tasks: readonly Task[];
  readonly #options: RerankingOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT`, also where no sample has a positive and a negative */
  constructor(options: RerankingOptions) {
    const atK = checkInteger('atK', options.atK ?? 10);
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
    return this.report(measure(this.#tasks, scores, this.atK), `ndcg@${this.atK}`);
  }
}

/**
 * The same by a cross-encoder, as sentence-transformers' `CrossEncoderRerankingEvaluator`. Metrics: `map`, `mrr@k`, and
 * `ndcg@k`, which is primary; with `documents` also `base_map`, `base_mrr@k` and `base_ndcg@k` of the ranking as given.
 */
export class CrossEncoderRerankingEvaluator extends Evaluator<EvaluatedCrossEncoder> {
  readonly atK: number;
  readonly #tasks: Task[] = [];
  /** The documents in the order given, behind them the positives that are missing; where samples have `documents`. */
  readonly #base: (Task | undefined)[] = [];
  readonly #options: CrossEncoderRerankingOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` */
  constructor(options: CrossEncoderRerankingOptions) {
    const atK = checkInteger('atK', options.atK ?? 10);
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
          : {
              query,
              documents,
              relevant: [...relevant, ...Array.from({ length: missing }, () => true)],
            },
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
    const metrics = measure(
      scored.map(({ relevant }) => ({ relevant: relevant.toReversed() })),
      scores.map((own) => own.toReversed()),
      this.atK,
      this.#tasks.length,
    );
    if (this.#base.length === 0) return this.report(metrics, `ndcg@${this.atK}`);

    const base = this.#base.filter((task) => task !== undefined);
    const inOrder = base.map(({ relevant }) => relevant.map((_, i) => relevant.length - i));
    for (const [metric, value] of Object.entries(measure(base, inOrder, this.atK, this.#base.length)))
      metrics[`base_${metric}`] = value;
    return this.report(metrics, `ndcg@${this.atK}`);
  }
}

/** The means over `count` queries, of which those that are not among the tasks count 0. */
function measure(
  tasks: readonly { relevant: readonly boolean[] }[],
  scores: readonly ArrayLike<number>[],
  k: number,
  count = tasks.length,
): Metrics {
  const average = (of: (relevant: readonly boolean[], scores: ArrayLike<number>) => number): number =>
    tasks.length === 0 ? 0 : (mean(tasks.map(({ relevant }, i) => of(relevant, scores[i]!))) * tasks.length) / count;
  return {
    map: average(averagePrecision),
    [`mrr@${k}`]: average((relevant, own) => reciprocalRank(relevant, own, k)),
    [`ndcg@${k}`]: average((relevant, own) => ndcgOfScores(relevant, own, k)),
  };
}

function taskOf(query: string, positive: readonly string[], negative: readonly string[]): Task {
  const relevant = [...positive.map(() => true), ...negative.map(() => false)];
  return { query, documents: [...positive, ...negative], relevant };
}

function queryOf(sample: { query: string }, i: number): string {
  if (typeof sample?.query !== 'string') throw invalidArgument(`samples[${i}].query`, 'a string', sample?.query);
  return sample.query;
}

function listOf(name: string, value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : checkTexts(name, value);
}
