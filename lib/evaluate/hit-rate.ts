import { setImmediate as nextTurn } from 'node:timers/promises';
import { checkArray, checkInteger, invalidArgument } from '../errors.js';
import { IndexFlatIP, IndexFlatL2 } from '../flat/index.js';
import { Matrix } from '../matrix.js';
import { normalizeRows } from '../model/similarity.js';
import { Bm25, type Bm25Options } from './bm25.js';
import { checkEmbeddings, checkEncoder, embed, encodeAs, Progress } from './embed.js';
import type { EvaluatedEncoder, EvaluateOptions } from './evaluator.js';
import { mean } from './ranking-metrics.js';

/** A question and the context that answers it: a row of KLUE-MRC or KorQuAD. */
export interface QuestionContext {
  question: string;
  context: string;
}

/** How questions and contexts are compared. */
export type HitRateMetric = 'l2' | 'cosine' | 'dot';

/** What {@link evaluateHitRate} takes. */
export interface HitRateOptions extends EvaluateOptions {
  /** The questions; their own contexts, in row order, are the corpus, contexts that come twice included. */
  rows: readonly QuestionContext[];
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

/** How often the own context of a question is retrieved. */
export interface HitRate {
  questions: number;
  /** How many contexts were retrieved for each. */
  k: number;
  /** The part of the questions of which a context among the k is their own, by its text. */
  hitRate: number;
  /** The same at each of 1, 3, 5, 10, 20, 30, 50 and 100 up to k, and at k. */
  hitRates: Record<number, number>;
  /** The mean of 1 / the rank of the first own context among the k. */
  mrr: number;
  /** For each question the rows of the contexts retrieved, best first. */
  predictions: number[][];
}

/** What {@link evaluateHitRate} gives. */
export interface HitRateReport extends HitRate {
  /** Questions asked one at a time, as the hit rate is measured. */
  secondsPerQuery: SecondsPerQuery;
  /** All of the questions in one call: the mean for one of them, and the hit rate, which only rounding can change. */
  batched: { hitRate: number; secondsPerQuery: SecondsPerQuery };
}

/** Ranks at which hit rates are given. */
const ranks = [1, 3, 5, 10, 20, 30, 50, 100];

/**
 * The hit rate of a bi-encoder on questions and their contexts: every question is asked by itself against the contexts
 * of all rows, and hits where one of the k contexts retrieved is the text of its own.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_MODEL`, `ERR_NON_FINITE`; `signal.reason` where aborted
 */
export async function evaluateHitRate(options: HitRateOptions): Promise<HitRateReport> {
  return (await retrieve(options)).report;
}

/** The hit rate of BM25 on the same task: the baseline beside a model's. */
export async function evaluateBm25HitRate(
  options: Bm25Options & Pick<HitRateOptions, 'rows' | 'k' | 'signal'>,
): Promise<HitRate> {
  const { rows, signal } = options;
  checkRows(rows);
  const k = Math.min(checkInteger('k', options.k ?? 10), rows.length);
  const contexts = rows.map(({ context }) => context);
  const bm25 = new Bm25(contexts, options);
  const predictions: number[][] = [];
  for (const { question } of rows) {
    predictions.push([...bm25.search(question, k).labels]);
    if (predictions.length % 32 === 0) await nextTurn(undefined, signal ? { signal } : {});
  }
  return hitRate(rows, predictions, k);
}

/** What a retrieval leaves for reranking. */
export interface Retrieved {
  report: HitRateReport;
  /** (questions · k) what the index reports of each context retrieved. */
  distances: readonly Float32Array[];
}

/** Retrieves the contexts of each question, one at a time and then all together. */
export async function retrieve(options: HitRateOptions): Promise<Retrieved> {
  const { rows, encoder, metric = 'l2', signal } = options;
  checkRows(rows);
  checkEncoder(encoder);
  const k = Math.min(checkInteger('k', options.k ?? 10), rows.length);
  const questions = rows.map(({ question }) => question);
  const progress = new Progress(3 * rows.length, options);
  const contexts = await embed(
    encoder,
    'document',
    rows.map(({ context }) => context),
    progress,
  );
  const index = metric === 'l2' ? new IndexFlatL2(contexts.cols) : new IndexFlatIP(contexts.cols);
  const call = signal ? { signal } : {};
  try {
    await index.add(prepared(contexts, metric), call);
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
      distances,
      report: {
        ...hitRate(rows, predictions, k),
        secondsPerQuery: single.seconds(rows.length),
        batched: { hitRate: hitRate(rows, batched, k).hitRate, secondsPerQuery: together.seconds(rows.length) },
      },
    };
  } finally {
    await index.dispose();
  }
}

/** Measures predictions: for each row the rows of the k contexts retrieved, best first. */
export function hitRate(rows: readonly QuestionContext[], predictions: number[][], k: number): HitRate {
  const firsts = predictions.map((list, i) => list.findIndex((row) => rows[row]!.context === rows[i]!.context));
  const at = (rank: number): number => mean(firsts.map((first) => (first !== -1 && first < rank ? 1 : 0)));
  const measured = [...ranks.filter((rank) => rank < k), k];
  return {
    questions: rows.length,
    k,
    hitRate: at(k),
    hitRates: Object.fromEntries(measured.map((rank) => [rank, at(rank)])),
    mrr: mean(firsts.map((first) => (first === -1 ? 0 : 1 / (first + 1)))),
    predictions,
  };
}

function checkRows(rows: readonly QuestionContext[]): void {
  if (checkArray('rows', rows).length === 0) throw invalidArgument('rows', 'one row at least', rows);
  for (const [i, row] of rows.entries())
    for (const name of ['question', 'context'] as const)
      if (typeof row?.[name] !== 'string') throw invalidArgument(`rows[${i}].${name}`, 'a string', row?.[name]);
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
