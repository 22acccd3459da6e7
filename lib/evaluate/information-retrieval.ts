import { checkInteger, checkObject, checkOneOf, invalidArgument } from '../errors.js';
import type { Matrix } from '../matrix.js';
import { similarityFunctions, type SimilarityFunction } from '../model/index.js';
import { checkCounts, optional } from './checks.js';
import { checkEncoder, embed, Progress } from './embed.js';
import {
  Evaluator,
  type EvaluatedEncodeOptions,
  type EvaluatedEncoder,
  type EvaluateOptions,
  type Metrics,
} from './evaluator.js';
import { createRanker, type Ranker } from './rankers.js';
import { defaultCutoffs, retrievalMetrics, type RetrievalCutoffs } from './retrieval-metrics.js';
import { checkSimilarities, chooseSimilarities } from './similarities.js';

/** Values by id: an object, or a Map, which keeps any id and its order. */
export type ById<T> = Readonly<Record<string, T>> | ReadonlyMap<string, T>;

/** Ids of the relevant documents of a query; or each judged document's relevance, above 0 for the relevant ones. */
export type RelevantDocs = Iterable<string> | ById<number>;

/** What {@link InformationRetrievalEvaluator} takes. */
export interface InformationRetrievalOptions extends Partial<RetrievalCutoffs> {
  /** Queries by id; those without relevant documents are left out. */
  queries: ById<string>;
  /** Documents by id; of a title and a text the model reads both, with a space between. */
  corpus: ById<string | { title?: string; text: string }>;
  /** For each query, by its id, its relevant documents. */
  relevantDocs: ById<RelevantDocs>;
  /** Which similarities rank the documents; the model's own unless given. */
  scoreFunctions?: readonly SimilarityFunction[];
  /** The similarity whose NDCG is primary; the best one unless given. */
  mainScoreFunction?: SimilarityFunction;
  /** Documents encoded in one call. 50,000 unless given. */
  corpusChunkSize?: number;
  queryPrompt?: string;
  queryPromptName?: string;
  corpusPrompt?: string;
  corpusPromptName?: string;
  /** Stands before every metric. */
  name?: string;
  truncateDim?: number;
  batchTokens?: number;
}

/**
 * Retrieval of the relevant documents among all of a corpus, as sentence-transformers' `InformationRetrievalEvaluator`:
 * exact search, equal scores in the order of document ids. Metrics: `cosine_accuracy@k`, `cosine_precision@k`,
 * `cosine_recall@k`, `cosine_ndcg@k`, `cosine_mrr@k`, `cosine_map@k`, and so on for other similarities. Primary is the
 * NDCG at the largest k.
 */
export class InformationRetrievalEvaluator extends Evaluator<EvaluatedEncoder> {
  readonly #queries: string[] = [];
  readonly #relevant: Set<string>[] = [];
  /** Documents in the order of their ids, so that a ranker's ties come in it. */
  readonly #ids: string[];
  readonly #documents: string[];
  readonly #cutoffs: RetrievalCutoffs;
  readonly #options: InformationRetrievalOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT`, also where no query has relevant documents */
  constructor(options: InformationRetrievalOptions) {
    super(checkObject('options', options).name);
    const relevant = new Map(entriesOf('relevantDocs', options.relevantDocs));
    for (const [id, query] of entriesOf('queries', options.queries)) {
      const ids = relevantIds(`relevantDocs[${id}]`, relevant.get(id));
      if (ids.size === 0) continue;
      if (typeof query !== 'string') throw invalidArgument(`queries[${id}]`, 'a string', query);
      this.#queries.push(query);
      this.#relevant.push(ids);
    }
    if (this.#queries.length === 0)
      throw invalidArgument('relevantDocs', 'relevant documents of one of the queries at least', options.relevantDocs);
    const corpus = entriesOf('corpus', options.corpus).sort(([a], [b]) => (a < b ? -1 : 1));
    this.#ids = corpus.map(([id]) => id);
    this.#documents = corpus.map(([id, document]) => textOf(`corpus[${id}]`, document));
    this.#cutoffs = {
      accuracyAtK: checkCounts('accuracyAtK', options.accuracyAtK, defaultCutoffs.accuracyAtK),
      precisionRecallAtK: checkCounts(
        'precisionRecallAtK',
        options.precisionRecallAtK,
        defaultCutoffs.precisionRecallAtK,
      ),
      ndcgAtK: checkCounts('ndcgAtK', options.ndcgAtK, defaultCutoffs.ndcgAtK),
      mrrAtK: checkCounts('mrrAtK', options.mrrAtK, defaultCutoffs.mrrAtK),
      mapAtK: checkCounts('mapAtK', options.mapAtK, defaultCutoffs.mapAtK),
    };
    checkSimilarities('scoreFunctions', options.scoreFunctions);
    if (options.mainScoreFunction !== undefined)
      checkOneOf('mainScoreFunction', options.mainScoreFunction, similarityFunctions);
    checkInteger('corpusChunkSize', options.corpusChunkSize ?? 1);
    this.#options = options;
  }

  override async evaluate(model: EvaluatedEncoder, options: EvaluateOptions = {}): Promise<Metrics> {
    checkEncoder(model);
    const names = chooseSimilarities(this.#options.scoreFunctions ?? [], model);
    const progress = new Progress(this.#queries.length + this.#documents.length, options);
    const { queryPrompt, queryPromptName, corpusPrompt, corpusPromptName } = this.#options;
    const queries = await embed(
      model,
      'query',
      this.#queries,
      progress,
      this.#encodeOptions(queryPrompt, queryPromptName),
    );
    const rankers = names.map((name) => createRanker(name, queries.cols));
    try {
      for await (const documents of this.#encoded(model, progress, this.#encodeOptions(corpusPrompt, corpusPromptName)))
        for (const ranker of rankers) await ranker.add(documents);
      const metrics: Metrics = {};
      for (const [i, name] of names.entries())
        for (const [metric, value] of Object.entries(await this.#measure(rankers[i]!, queries, options)))
          metrics[`${name}_${metric}`] = value;
      return this.report(metrics, this.#primaryOf(metrics, names));
    } finally {
      await Promise.all(rankers.map((ranker) => ranker.dispose()));
    }
  }

  async *#encoded(
    model: EvaluatedEncoder,
    progress: Progress,
    options: EvaluatedEncodeOptions,
  ): AsyncGenerator<Matrix, void, undefined> {
    const size = this.#options.corpusChunkSize ?? 50_000;
    for (let start = 0; start < this.#documents.length; start += size)
      yield await embed(model, 'document', this.#documents.slice(start, start + size), progress, options);
  }

  async #measure(ranker: Ranker, queries: Matrix, { signal }: EvaluateOptions): Promise<Metrics> {
    const k = Math.max(0, ...Object.values<readonly number[]>({ ...this.#cutoffs }).flat());
    const ranked = await ranker.rank(queries, k, signal);
    const rankings = ranked.map((labels) => Array.from(labels, (label) => this.#ids[label]!));
    return retrievalMetrics(rankings, this.#relevant, this.#cutoffs);
  }

  #primaryOf(metrics: Metrics, names: readonly SimilarityFunction[]): string | undefined {
    const { ndcgAtK } = this.#cutoffs;
    if (ndcgAtK.length === 0) return undefined;
    const metric = `ndcg@${Math.max(...ndcgAtK)}`;
    const valueOf = (name: string): number => metrics[`${name}_${metric}`]!;
    const best = names.reduce((a, b) => (valueOf(b) > valueOf(a) ? b : a));
    return `${this.#options.mainScoreFunction ?? best}_${metric}`;
  }

  #encodeOptions(prompt: string | undefined, promptName: string | undefined): EvaluatedEncodeOptions {
    const { truncateDim, batchTokens } = this.#options;
    return {
      ...optional('prompt', prompt),
      ...optional('promptName', promptName),
      ...optional('truncateDim', truncateDim),
      ...optional('batchTokens', batchTokens),
    };
  }
}

function entriesOf<T>(name: string, value: ById<T>): [string, T][] {
  if (value instanceof Map) return [...(value as ReadonlyMap<string, T>)];
  if (typeof value !== 'object' || value === null) throw invalidArgument(name, 'an object or a Map by id', value);
  return Object.entries(value as Record<string, T>);
}

function relevantIds(name: string, value: RelevantDocs | undefined): Set<string> {
  if (value === undefined) return new Set();
  const isList = typeof value === 'object' && value !== null && Symbol.iterator in value && !(value instanceof Map);
  if (isList) return new Set(value as Iterable<string>);
  const relevances = entriesOf(name, value as ById<number>);
  return new Set(relevances.filter(([, relevance]) => relevance > 0).map(([id]) => id));
}

function textOf(name: string, document: string | { title?: string; text: string }): string {
  if (typeof document === 'string') return document;
  if (typeof document?.text !== 'string') throw invalidArgument(name, 'a string or an object with `text`', document);
  return `${document.title ?? ''} ${document.text}`.trim();
}
