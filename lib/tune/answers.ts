/** Asking the questions: BM25, a bi-encoder, and a cross-encoder over its candidates. */
import { appendFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  Bm25,
  CrossEncoderCorrelationEvaluator,
  EmbeddingSimilarityEvaluator,
  type Metrics,
  type QuestionContext,
} from '../evaluate/index.js';
import { retrieve } from '../evaluate/hit-rate.js';
import { ownRanks } from '../evaluate/hit-rate-measure.js';
import { FlatrankError } from '../errors.js';
import type { CrossEncoder, OnProgress, SentenceTransformer } from '../model/index.js';
import type { RetrieverMetric } from '../retriever/index.js';
import { toScore } from '../retriever/metric.js';
import { scoredPairs } from './data.js';
import { readLines } from './stages.js';
import type { Correlation } from './types.js';

/** Questions and what they search: `corpus`, or the contexts of the rows themselves. */
export interface Asked {
  readonly rows: readonly QuestionContext[];
  readonly corpus: readonly string[] | undefined;
}

/** What a bi-encoder finds, for each question: candidates, best first, and their retrieval scores. */
export interface Found {
  readonly ranks: readonly number[];
  readonly candidates: readonly (readonly number[])[];
  readonly scores: readonly (readonly number[])[];
  readonly secondsPerQuery: number;
}

/** What is watched and stopped. */
export interface Call {
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
}

/** The texts that questions search. */
export function searchedTexts({ rows, corpus }: Asked): readonly string[] {
  return corpus ?? rows.map(({ context }) => context);
}

/** Asks a bi-encoder, each question by itself. */
export async function ask(
  encoder: SentenceTransformer,
  asked: Asked,
  metric: RetrieverMetric,
  k: number,
  { onProgress, signal }: Call,
): Promise<Found> {
  const { rows, corpus } = asked;
  const { report, contexts, distances } = await retrieve({
    ...{ rows: [...rows], encoder, k, metric, onProgress },
    ...(corpus ? { corpus: [...corpus] } : {}),
    ...(signal ? { signal } : {}),
  });
  return {
    ranks: ownRanks(rows, contexts, report.predictions),
    candidates: report.predictions,
    scores: distances.map((list) => Array.from(list, (distance) => toScore(metric, distance))),
    secondsPerQuery: report.secondsPerQuery.total,
  };
}

/** Asks BM25. Its time is that of the search alone. */
export async function askBm25(
  asked: Asked,
  k: number,
  { onProgress, signal }: Call,
): Promise<Pick<Found, 'ranks' | 'secondsPerQuery'>> {
  const texts = searchedTexts(asked);
  const bm25 = new Bm25(texts);
  const predictions: number[][] = [];
  let ms = 0;
  for (const { question } of asked.rows) {
    const started = performance.now();
    predictions.push([...bm25.search(question, k).labels]);
    ms += performance.now() - started;
    if (predictions.length % 32 !== 0) continue;
    onProgress({ done: predictions.length, total: asked.rows.length });
    await nextTurn(undefined, signal ? { signal } : {});
  }
  return { ranks: ownRanks(asked.rows, texts, predictions), secondsPerQuery: ms / 1000 / asked.rows.length };
}

/** Logits of each question's candidates, in their order, and the seconds a question. */
export interface Read {
  readonly logits: readonly (readonly number[])[];
  readonly secondsPerQuery: number;
}

/**
 * Lets a cross-encoder read the candidates of each question. What is done is kept in `path`, a line a question: the
 * longest stage by far goes on where it was.
 */
export async function readCandidates(
  crossEncoder: CrossEncoder,
  asked: Asked,
  found: Pick<Found, 'candidates'>,
  path: string,
  { onProgress, signal }: Call,
): Promise<Read> {
  const texts = searchedTexts(asked);
  const lines = await readLines<{ ms: number; logits: number[] }>(path);
  const total = asked.rows.length;
  for (const [i, { question }] of asked.rows.entries()) {
    if (i < lines.length) continue;
    onProgress({ done: i, total });
    signal?.throwIfAborted();
    const pairs = found.candidates[i]!.map((candidate) => [question, texts[candidate]!] as const);
    const started = performance.now();
    const scores = await crossEncoder.predict(pairs, { activation: 'none', signal });
    const line = { ms: performance.now() - started, logits: [...scores] };
    if (!line.logits.every(Number.isFinite))
      throw new FlatrankError(
        'ERR_NON_FINITE',
        `Expected finite logits for question ${i} but received ${line.logits.join()}`,
      );
    lines.push(line);
    await appendFile(path, `${JSON.stringify(line)}\n`);
  }
  return {
    logits: lines.map(({ logits }) => logits),
    secondsPerQuery: lines.reduce((sum, { ms }) => sum + ms, 0) / 1000 / total,
  };
}

/** How well a model's scores tell a question's own context from another one. */
export async function correlate(
  model: SentenceTransformer | CrossEncoder,
  rows: readonly QuestionContext[],
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Correlation> {
  const pairs = scoredPairs(rows, seed);
  if (pairs.length === 0) return { pearson: null, spearman: null };
  const scores = pairs.map(({ label }) => label);
  const options = signal ? { signal } : {};
  if ('predict' in model) {
    const evaluator = new CrossEncoderCorrelationEvaluator({ sentencePairs: pairs.map(({ pair }) => pair), scores });
    return correlationOf(await evaluator.evaluate(model, options));
  }
  const [sentences1, sentences2] = [pairs.map(({ pair }) => pair[0]), pairs.map(({ pair }) => pair[1])];
  return similarity(model, sentences1, sentences2, scores, signal);
}

/** Correlation of cosine similarities with scores. */
export async function similarity(
  model: SentenceTransformer,
  sentences1: readonly string[],
  sentences2: readonly string[],
  scores: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Correlation> {
  const options = { sentences1, sentences2, scores, similarityFnNames: ['cosine'] as const };
  const evaluator = new EmbeddingSimilarityEvaluator(options);
  return correlationOf(await evaluator.evaluate(model, signal ? { signal } : {}));
}

function correlationOf(metrics: Metrics): Correlation {
  const value = (name: string): number | null => {
    const found = Object.entries(metrics).find(([key]) => key.startsWith(name))?.[1];
    return found === undefined || Number.isNaN(found) ? null : found;
  };
  return { pearson: value('pearson'), spearman: value('spearman') };
}
