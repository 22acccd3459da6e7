import * as flatrank from 'flatrank';
import { FlatrankError } from 'flatrank';
import { expect, it } from 'vitest';

// What JavaScript passes where TypeScript would not: a value of no use in the place of an object or a list.
const wrong = [null, 5, 'text', true, [], () => 1, Symbol('one'), 10n] as never[];
const counter = { maxSeqLength: 8, countTokens: () => Promise.resolve(Int32Array.of(3)) };
const index = new flatrank.IndexFlatL2(2);
const evaluator = new flatrank.EmbeddingSimilarityEvaluator({
  sentences1: ['a', 'b'],
  sentences2: ['c', 'd'],
  scores: [0, 1],
});
const encoder = { encode: () => Promise.reject(new Error('not to be called')) };

const calls: Record<string, (value: never) => unknown> = {
  IndexFlatL2: (value) => new flatrank.IndexFlatL2(2, value),
  'IndexFlatL2.read': (value) => flatrank.IndexFlatL2.read('none', value),
  add: (value) => index.add(new Float32Array(2), value),
  search: (value) => index.search(new Float32Array(2), 1, value),
  rangeSearch: (value) => index.rangeSearch(new Float32Array(2), 1, value),
  removeIds: (value) => index.removeIds(new flatrank.IDSelectorAll(), value),
  write: (value) => index.write('none', value),
  mergeSearchResults: (value) => flatrank.mergeSearchResults([], value),
  'results of mergeSearchResults': (value) =>
    flatrank.mergeSearchResults([value], { k: 1, metric: 'l2', queries: 1, labelOffsets: [0] }),
  'SentenceTransformer.load': (value) => flatrank.SentenceTransformer.load('none', value),
  'CrossEncoder.load': (value) => flatrank.CrossEncoder.load('none', value),
  'CrossEncoder.fromEncoder': (value) => flatrank.CrossEncoder.fromEncoder('none', value),
  MultipleNegativesRankingLoss: (value) => new flatrank.MultipleNegativesRankingLoss(value),
  CachedMultipleNegativesRankingLoss: (value) => new flatrank.CachedMultipleNegativesRankingLoss(value),
  CoSENTLoss: (value) => new flatrank.CoSENTLoss(value),
  TripletLoss: (value) => new flatrank.TripletLoss(value),
  MatryoshkaLoss: (value) => new flatrank.MatryoshkaLoss(new flatrank.CosineSimilarityLoss(), value),
  BinaryCrossEntropyLoss: (value) => new flatrank.BinaryCrossEntropyLoss(value),
  BinaryClassificationEvaluator: (value) => new flatrank.BinaryClassificationEvaluator(value),
  CrossEncoderClassificationEvaluator: (value) => new flatrank.CrossEncoderClassificationEvaluator(value),
  CrossEncoderCorrelationEvaluator: (value) => new flatrank.CrossEncoderCorrelationEvaluator(value),
  CrossEncoderRerankingEvaluator: (value) => new flatrank.CrossEncoderRerankingEvaluator(value),
  EmbeddingSimilarityEvaluator: (value) => new flatrank.EmbeddingSimilarityEvaluator(value),
  InformationRetrievalEvaluator: (value) => new flatrank.InformationRetrievalEvaluator(value),
  RerankingEvaluator: (value) => new flatrank.RerankingEvaluator(value),
  TripletEvaluator: (value) => new flatrank.TripletEvaluator(value),
  evaluate: (value) => evaluator.evaluate(encoder, value),
  'TripletEvaluator.fromInputExamples': (value) => flatrank.TripletEvaluator.fromInputExamples([], value),
  'EmbeddingSimilarityEvaluator.fromInputExamples': (value) =>
    flatrank.EmbeddingSimilarityEvaluator.fromInputExamples([value]),
  evaluateHitRate: (value) => flatrank.evaluateHitRate(value),
  evaluateHitRateWithRerank: (value) => flatrank.evaluateHitRateWithRerank(value),
  evaluateBm25HitRate: (value) => flatrank.evaluateBm25HitRate(value),
  retrievalMetrics: (value) => flatrank.retrievalMetrics([['a']], [new Set('a')], value),
  'relevant of retrievalMetrics': (value) => flatrank.retrievalMetrics([['a']], [value]),
  Bm25: (value) => new flatrank.Bm25(['text'], value),
  primaryScore: (value) => flatrank.primaryScore(value, { metric: 1 }),
  positivePairs: (value) => flatrank.positivePairs([value]),
  labelledPairs: (value) => flatrank.labelledPairs([value]),
  addIrrelevantContexts: (value) => flatrank.addIrrelevantContexts([], value),
  shuffled: (value) => flatrank.shuffled([], value),
  batchesWithoutDuplicates: (value) => flatrank.batchesWithoutDuplicates([], 1, value).next(),
  trainTestSplit: (value) => flatrank.trainTestSplit([1, 2, 3], value),
  loadBeir: (value) => flatrank.loadBeir('none', value),
  loadKlueMrc: (value) => flatrank.loadKlueMrc('none', value),
  loadKlueSts: (value) => flatrank.loadKlueSts('none', value),
  loadKorQuad: (value) => flatrank.loadKorQuad('none', value),
  loadKorSts: (value) => flatrank.loadKorSts('none', value),
  readCsv: (value) => flatrank.readCsv('none.csv', value).next(),
  readDocuments: (value) => flatrank.readDocuments('none.md', value).next(),
  readExamples: (value) => flatrank.readExamples('none.csv', value).next(),
  readJsonArray: (value) => flatrank.readJsonArray('none.json', value).next(),
  readParquet: (value) => flatrank.readParquet('none.parquet', value).next(),
  readRecords: (value) => flatrank.readRecords('none.csv', value).next(),
  splitText: (value) => flatrank.splitText('text', counter, value),
  'counter of splitText': (value) => flatrank.splitText('text', value),
  splitBlocks: (value) => flatrank.splitBlocks([], counter, value).next(),
};

it.each(Object.entries(calls))('%s names what came in the place of an object', async (_, call) => {
  for (const value of wrong) {
    // eslint-disable-next-line @typescript-eslint/require-await -- so that what is thrown rejects
    const error: unknown = await (async () => call(value))().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error, String(value)).toBeInstanceOf(FlatrankError);
    expect((error as FlatrankError).code).toBe('ERR_INVALID_ARGUMENT');
    expect((error as FlatrankError).message).toMatch(/^Expected `[^`]+` to be .* but received /);
  }
});
