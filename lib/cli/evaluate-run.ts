import {
  BinaryClassificationEvaluator,
  Bm25,
  CrossEncoderClassificationEvaluator,
  CrossEncoderCorrelationEvaluator,
  EmbeddingSimilarityEvaluator,
  evaluateBm25HitRate,
  evaluateHitRate,
  evaluateHitRateWithRerank,
  retrievalMetrics,
  type EvaluateOptions,
  type HitRate,
  type HitRateMetric,
  type HitRateReport,
  type Metrics,
} from '../evaluate/index.js';
import { similarityFunctions, type CrossEncoder, type SentenceTransformer } from '../model/index.js';
import { Retriever } from '../retriever/index.js';
import type { BeirDataset, QuestionRow } from '../data/index.js';
import type { LabelledPair, Task } from './evaluate-data.js';

/** Measures by system: 'bi-encoder', 'cross-encoder' or 'reranked', 'bm25'. */
export type Systems = Record<string, Metrics>;

/** How a task is run. */
export interface RunOptions extends Required<EvaluateOptions> {
  k: number;
  biK: number;
  blend: number;
  /** Whether contexts that come twice are searched once. */
  distinct: boolean;
  metric: HitRateMetric | undefined;
  signal: AbortSignal;
}

/** Measures the models, and BM25 where it can be, on a task. */
export function runTask(
  task: Task,
  encoder: SentenceTransformer,
  crossEncoder: CrossEncoder | undefined,
  options: RunOptions,
): Promise<Systems> {
  switch (task.kind) {
    case 'sts':
    case 'pairs':
      return runPairs(task.kind, task.pairs, encoder, crossEncoder, options);
    case 'questions':
      return runQuestions(task.rows, encoder, crossEncoder, options);
    case 'beir':
      return runBeir(task.dataset, encoder, crossEncoder, options);
  }
}

async function runPairs(
  kind: 'sts' | 'pairs',
  pairs: readonly LabelledPair[],
  encoder: SentenceTransformer,
  crossEncoder: CrossEncoder | undefined,
  options: RunOptions,
): Promise<Systems> {
  const sentencePairs = pairs.map(({ texts }) => texts);
  const labels = pairs.map(({ label }) => label);
  const sides = { sentences1: sentencePairs.map(([a]) => a), sentences2: sentencePairs.map(([, b]) => b) };
  const bi =
    kind === 'sts'
      ? new EmbeddingSimilarityEvaluator({ ...sides, scores: labels, similarityFnNames: similarityFunctions })
      : new BinaryClassificationEvaluator({ ...sides, labels });
  const systems: Systems = { 'bi-encoder': await bi.evaluate(encoder, options) };
  if (crossEncoder) {
    const cross =
      kind === 'sts'
        ? new CrossEncoderCorrelationEvaluator({ sentencePairs, scores: labels })
        : new CrossEncoderClassificationEvaluator({ sentencePairs, labels });
    systems['cross-encoder'] = await cross.evaluate(crossEncoder, options);
  }
  return systems;
}

async function runQuestions(
  rows: readonly QuestionRow[],
  encoder: SentenceTransformer,
  crossEncoder: CrossEncoder | undefined,
  options: RunOptions,
): Promise<Systems> {
  const { k, biK, blend, distinct, metric, onProgress, signal } = options;
  const data = { rows, ...(distinct ? { corpus: [...new Set(rows.map(({ context }) => context))] } : {}) };
  const common = { ...data, encoder, onProgress, signal, ...(metric === undefined ? {} : { metric }) };
  const bm25 = hitMetrics(await evaluateBm25HitRate({ ...data, k, signal }));
  if (!crossEncoder) return { 'bi-encoder': reportMetrics(await evaluateHitRate({ ...common, k })), bm25 };
  const report = await evaluateHitRateWithRerank({ ...common, crossEncoder, biK, crossK: k, blend });
  return {
    'bi-encoder': reportMetrics(report.retrieval),
    reranked: {
      ...hitMetrics(report),
      [`uncut_hit_rate@${report.retrieval.k}`]: report.uncutHitRate,
      seconds_embedding: report.secondsPerQuery.embedding,
      seconds_search: report.secondsPerQuery.search,
      seconds_rerank: report.secondsPerQuery.rerank,
    },
    bm25,
  };
}

function hitMetrics({ hitRates, mrr, k }: HitRate): Metrics {
  const rates = Object.entries(hitRates).map(([rank, rate]) => [`hit_rate@${rank}`, rate] as const);
  return { ...Object.fromEntries(rates), [`mrr@${k}`]: mrr };
}

function reportMetrics(report: HitRateReport): Metrics {
  const { secondsPerQuery, batched } = report;
  return {
    ...hitMetrics(report),
    seconds_embedding: secondsPerQuery.embedding,
    seconds_search: secondsPerQuery.search,
    seconds_batched: batched.secondsPerQuery.total,
  };
}

/** How many documents a query's ranking has: as far as the measures look. */
const ranked = 100;

async function runBeir(
  { corpus, queries, qrels }: BeirDataset,
  encoder: SentenceTransformer,
  crossEncoder: CrossEncoder | undefined,
  { biK, blend, onProgress, signal }: RunOptions,
): Promise<Systems> {
  const judged = [...qrels]
    .map(([id, documents]) => ({
      text: queries.get(id),
      relevant: new Set([...documents].filter(([, relevance]) => relevance > 0).map(([document]) => document)),
    }))
    .filter((query): query is { text: string; relevant: Set<string> } => {
      return query.text !== undefined && query.relevant.size > 0;
    });
  const texts = judged.map(({ text }) => text);
  const relevant = judged.map((query) => query.relevant);
  // In the order of ids, in which equal scores are to come.
  const documents = [...corpus]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, { title, text }]) => ({ id, text: `${title} ${text}`.trim() }));

  await using retriever = await Retriever.create({ encoder, ...(crossEncoder ? { crossEncoder } : {}) });
  await retriever.add(documents, {
    signal,
    onProgress: ({ done }) => {
      onProgress?.({ done, total: documents.length });
    },
  });
  const hits = await retriever.search(texts, { k: ranked, signal });
  const systems: Systems = { 'bi-encoder': retrievalMetrics(hits.map(idsOf), relevant) };
  if (crossEncoder) {
    const rankings: string[][] = [];
    for (const [i, text] of texts.entries()) {
      const best = hits[i]!.slice(0, biK);
      const reranked = await retriever.rerank(text, best, { k: biK, blend, signal });
      rankings.push([...idsOf(reranked), ...idsOf(hits[i]!.slice(biK))]);
      onProgress?.({ done: i + 1, total: texts.length });
    }
    systems['reranked'] = retrievalMetrics(rankings, relevant);
  }
  const bm25 = new Bm25(documents.map(({ text }) => text));
  const lexical = texts.map((text) => Array.from(bm25.search(text, ranked).labels, (i) => documents[i]!.id));
  return { ...systems, bm25: retrievalMetrics(lexical, relevant) };
}

function idsOf(hits: readonly { id: string }[]): string[] {
  return hits.map(({ id }) => id);
}
