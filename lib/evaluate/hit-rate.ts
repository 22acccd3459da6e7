import { checkInteger, checkObject, checkOneOf } from '../errors.js';
import { IndexFlatIP, IndexFlatL2 } from '../flat/index.js';
import { Matrix } from '../matrix.js';
import { normalizeRows } from '../model/similarity.js';
import { checkEmbeddings, checkEncoder, embed, encodeAs, Progress } from './embed.js';
import type { EvaluatedEncoder, EvaluateOptions } from './evaluator.js';
import { checkRows, corpusOf, hitRate, type HitRate, type HitRateData } from './hit-rate-measure.js';

const metrics = ['l2', 'cosine', 'dot'] as const;

/** How questions and contexts are compared. */
export type HitRateMetric = (typeof metrics)[number];

/** What {@link evaluateHitRate} takes. */
export interface HitRateOptions extends HitRateData, EvaluateOptions {
  encoder: EvaluatedEncoder;
  /** How many contexts are retrieved for a question. 10 unless given. */
  k?: number;
  /** 'l2' over the embeddings as the model gives them, unless given. */
  metric?: HitRateMetric;
}

/** Where the time of a question goes, in seconds, the mean over questions. */
export interface SecondsPerQuery {
  /** Encoding the question. */
  embedding: number;
  /** Searching the contexts. */
  search: number;
  total: number;
}

/** What {@link evaluateHitRate} gives. */
export interface HitRateReport extends HitRate {
  /** Questions asked one at a time, as the hit rate is measured. */
  secondsPerQuery: SecondsPerQuery;
  /** All of the questions in one call: the mean for one of them, and the hit rate, which only rounding can change. */
  batched: { hitRate: number; secondsPerQuery: SecondsPerQuery };
}

/**
 * The hit rate of a bi-encoder on questions and their contexts: every question is asked by itself against the contexts
 * of all rows, and hits where one of the k contexts retrieved has the text of its own.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_MODEL`, `ERR_NON_FINITE`; `signal.reason` where aborted
 */
export async function evaluateHitRate(options: HitRateOptions): Promise<HitRateReport> {
  return (await retrieve(options)).report;
}

/** What a retrieval leaves for reranking. */
export interface Retrieved {
  report: HitRateReport;
  /** The texts that were searched. */
  contexts: readonly string[];
  /** (questions · k) what the index reports of each context retrieved. */
  distances: readonly Float32Array[];
}

/** Retrieves the contexts of each question, one at a time and then all together. */
export async function retrieve(options: HitRateOptions): Promise<Retrieved> {
  const { rows, encoder, signal } = checkObject('options', options);
  const metric = checkOneOf('metric', options.metric ?? 'l2', metrics);
  checkRows(rows);
  checkEncoder(encoder);
  const contexts = corpusOf(options);
  const k = Math.min(checkInteger('k', options.k ?? 10), contexts.length);
  const questions = rows.map(({ question }) => question);
  const progress = new Progress(contexts.length + 2 * rows.length, options);
  const embeddings = await embed(encoder, 'document', contexts, progress);
  const index = metric === 'l2' ? new IndexFlatL2(embeddings.cols) : new IndexFlatIP(embeddings.cols);
  const call = signal ? { signal } : {};
  try {
    await index.add(prepared(embeddings, metric), call);
    const predictions: number[][] = [];
    const distances: Float32Array[] = [];
    const single = new Stopwatch();
    for (const question of questions) {
      const query = await progress.part(1, 1, (own) =>
        single.time('embedding', async () =>
          prepared(checkEmbeddings(await encodeAs(encoder, 'query', [question], own), 1), metric),
        ),
      );
      const found = await single.time('search', () => index.search(query, k, call));
      predictions.push([...found.labels]);
      distances.push(found.distances);
    }
    const together = new Stopwatch();
    const queries = await progress.part(rows.length, rows.length, (own) =>
      together.time('embedding', async () =>
        prepared(checkEmbeddings(await encodeAs(encoder, 'query', questions, own), rows.length), metric),
      ),
    );
    const { labels } = await together.time('search', () => index.search(queries, k, call));
    const batched = questions.map((_, i) => [...labels.subarray(i * k, (i + 1) * k)]);
    return {
      contexts,
      distances,
      report: {
        ...hitRate(rows, contexts, predictions, k),
        secondsPerQuery: single.seconds(rows.length),
        batched: {
          hitRate: hitRate(rows, contexts, batched, k).hitRate,
          secondsPerQuery: together.seconds(rows.length),
        },
      },
    };
  } finally {
    await index.dispose();
  }
}

/** Embeddings as the index compares them: of length 1 for cosine. */
function prepared(embeddings: Matrix, metric: HitRateMetric): Matrix {
  if (metric !== 'cosine') return embeddings;
  const data = Float32Array.from(embeddings.data);
  normalizeRows(data, embeddings.cols);
  return new Matrix(data, embeddings.rows, embeddings.cols);
}

/** Adds up the time of the parts of a retrieval. */
class Stopwatch {
  readonly #ms = { embedding: 0, search: 0 };

  async time<T>(part: 'embedding' | 'search', work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.#ms[part] += performance.now() - start;
    return result;
  }

  seconds(count: number): SecondsPerQuery {
    const embedding = this.#ms.embedding / 1000 / count;
    const search = this.#ms.search / 1000 / count;
    return { embedding, search, total: embedding + search };
  }
}
