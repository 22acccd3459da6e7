/** Measures of models, as Python's sentence-transformers defines them. */
export { BinaryClassificationEvaluator, type BinaryClassificationOptions } from './binary-classification.js';
export { Bm25, type Bm25Options } from './bm25.js';
export { evaluateBm25HitRate } from './bm25-hit-rate.js';
export { pearson, spearman } from './correlation.js';
export {
  CrossEncoderClassificationEvaluator,
  type CrossEncoderClassificationOptions,
} from './cross-encoder-classification.js';
export { CrossEncoderCorrelationEvaluator, type CrossEncoderCorrelationOptions } from './cross-encoder-correlation.js';
export { CrossEncoderRerankingEvaluator, type CrossEncoderRerankingOptions } from './cross-encoder-reranking.js';
export { EmbeddingSimilarityEvaluator, type EmbeddingSimilarityOptions } from './embedding-similarity.js';
export {
  Evaluator,
  type Embeddings,
  type EvaluatedCrossEncoder,
  type EvaluatedEncodeOptions,
  type EvaluatedEncoder,
  type EvaluatedPredictOptions,
  type EvaluateOptions,
  type Evaluates,
  type Metrics,
} from './evaluator.js';
export {
  evaluateHitRate,
  type HitRateMetric,
  type HitRateOptions,
  type HitRateReport,
  type SecondsPerQuery,
} from './hit-rate.js';
export type { HitRate, HitRateData, QuestionContext } from './hit-rate-measure.js';
export {
  evaluateHitRateWithRerank,
  type HitRateWithRerankOptions,
  type HitRateWithRerankReport,
} from './hit-rate-rerank.js';
export {
  InformationRetrievalEvaluator,
  type ById,
  type InformationRetrievalOptions,
  type RelevantDocs,
} from './information-retrieval.js';
export type { RerankingSample } from './ranking-tasks.js';
export { RerankingEvaluator, type RerankingOptions } from './reranking.js';
export { retrievalMetrics, type RetrievalCutoffs } from './retrieval-metrics.js';
export { primaryScore, SequentialEvaluator } from './sequential.js';
export { TripletEvaluator, type TripletOptions } from './triplet.js';
