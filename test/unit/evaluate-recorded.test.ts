/** Every evaluator against what sentence-transformers' gives over the same table of embeddings and scores. */
import { readFileSync } from 'node:fs';
import {
  BinaryClassificationEvaluator,
  CrossEncoderClassificationEvaluator,
  CrossEncoderCorrelationEvaluator,
  CrossEncoderRerankingEvaluator,
  EmbeddingSimilarityEvaluator,
  InformationRetrievalEvaluator,
  RerankingEvaluator,
  SequentialEvaluator,
  TripletEvaluator,
  type EvaluatedCrossEncoder,
  type EvaluatedEncoder,
  type Evaluates,
} from 'flatrank';
import { expect, test } from 'vitest';

const recorded: any = JSON.parse(
  readFileSync(new URL('../fixtures/evaluators/recorded.json', import.meta.url), 'utf8'),
);
const { first: sentences1, second: sentences2, third, gold: scores, labels, pairs: sentencePairs } = recorded;
const similarityFnNames = ['cosine', 'dot', 'euclidean', 'manhattan'] as const;

const encoder: EvaluatedEncoder = {
  similarityFnName: 'cosine',
  encode(texts) {
    const rows: number[][] = texts.map((text) => recorded.vectors[text]);
    return Promise.resolve({ data: Float32Array.from(rows.flat()), rows: rows.length, cols: rows[0]!.length });
  },
};
const crossEncoder = (numLabels: number): EvaluatedCrossEncoder => ({
  predict: (pairs) =>
    Promise.resolve(Float32Array.from(pairs.flatMap(([a, b]) => recorded.scores[`${a}|${b}`].slice(0, numLabels)))),
});

const similarity = (name: string): EmbeddingSimilarityEvaluator =>
  new EmbeddingSimilarityEvaluator({ sentences1, sentences2, scores, similarityFnNames, name });
const evaluators: Record<string, [Evaluates<any>, unknown]> = {
  similarity: [similarity('sts'), encoder],
  similarity_one: [new EmbeddingSimilarityEvaluator({ sentences1, sentences2, scores }), encoder],
  binary: [new BinaryClassificationEvaluator({ sentences1, sentences2, labels, similarityFnNames }), encoder],
  triplet: [
    new TripletEvaluator({
      anchors: sentences1,
      positives: sentences2,
      negatives: third,
      similarityFnNames,
      margin: { cosine: 0.25 },
    }),
    encoder,
  ],
  retrieval: [
    new InformationRetrievalEvaluator({
      queries: recorded.queries,
      corpus: recorded.corpus,
      relevantDocs: recorded.relevant,
      accuracyAtK: [1, 2],
      precisionRecallAtK: [1, 7],
      mrrAtK: [3, 60],
      ndcgAtK: [5, 10],
      mapAtK: [4, 100],
      scoreFunctions: similarityFnNames,
      corpusChunkSize: 11,
      name: 'ir',
    }),
    encoder,
  ],
  reranking: [new RerankingEvaluator({ samples: recorded.samples, atK: 3, name: 'rr' }), encoder],
  sequential: [
    new SequentialEvaluator([similarity('sts'), new BinaryClassificationEvaluator({ sentences1, sentences2, labels })]),
    encoder,
  ],
  correlation: [new CrossEncoderCorrelationEvaluator({ sentencePairs, scores, name: 'ce' }), crossEncoder(1)],
  classification_one: [new CrossEncoderClassificationEvaluator({ sentencePairs, labels }), crossEncoder(1)],
  classification: [
    new CrossEncoderClassificationEvaluator({ sentencePairs, labels: recorded.classes }),
    crossEncoder(3),
  ],
  cross_reranking: [
    new CrossEncoderRerankingEvaluator({ samples: recorded.samples.slice(1, 4), atK: 3 }),
    crossEncoder(1),
  ],
  cross_ranked: [new CrossEncoderRerankingEvaluator({ samples: recorded.ranked }), crossEncoder(1)],
  cross_ranked_only: [
    new CrossEncoderRerankingEvaluator({ samples: recorded.ranked, alwaysRerankPositives: false }),
    crossEncoder(1),
  ],
};

test.each(Object.keys(recorded.expected))('%s', async (name) => {
  const [evaluator, model] = evaluators[name]!;
  const metrics = (await evaluator.evaluate(model)) as Record<string, number>;
  const expected: Record<string, number> = recorded.expected[name];
  expect(Object.keys(metrics)).toEqual(Object.keys(expected));
  for (const [metric, value] of Object.entries(expected)) expect(metrics[metric], metric).toBeCloseTo(value, 6);
  expect(metrics).toHaveProperty([evaluator.primaryMetric!]);
  const primary = recorded.primary[name];
  // Ours prefers cosine where it is measured.
  if (primary !== undefined) expect(evaluator.primaryMetric).toBe(primary.replace('spearman_max', 'spearman_cosine'));
});
