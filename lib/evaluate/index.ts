/** Measures of models, as Python's sentence-transformers defines them. */
export { BinaryClassificationEvaluator, type BinaryClassificationOptions } from './binary-classification.js';
export { Bm25, type Bm25Options } from './bm25.js';
export { pearson, spearman } from './correlation.js';
export {
  CrossEncoderClassificationEvaluator,
  type CrossEncoderClassificationOptions,
} from './cross-encoder-classification.js';
export { CrossEncoderCorrelationEvaluator, type CrossEncoderCorrelationOptions } from './cross-encoder-correlation.js';
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
  evaluateBm25HitRate,
  evaluateHitRate,
  type HitRate,
  type HitRateMetric,
  type HitRateOptions,
  type HitRateReport,
  type QuestionContext,
  type SecondsPerQuery,
} from './hit-rate.js';
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
export {
  CrossEncoderRerankingEvaluator,
  RerankingEvaluator,
  type CrossEncoderRerankingOptions,
  type RerankingOptions,
  type RerankingSample,
} from './reranking.js';
export { retrievalMetrics, type RetrievalCutoffs } from './retrieval-metrics.js';
export { primaryScore, SequentialEvaluator } from './sequential.js';
export { TripletEvaluator, type TripletOptions } from './triplet.js';
