/** Training of both kinds of model. */
export { fit } from './fit.js';
export type { EmbeddingExample } from './examples.js';
export { mineHardNegatives, type HardNegativesOptions } from './hard-negatives.js';
export {
  BinaryCrossEntropyLoss,
  CachedMultipleNegativesRankingLoss,
  CoSENTLoss,
  CosineSimilarityLoss,
  CrossEntropyLoss,
  MatryoshkaLoss,
  MSELoss,
  MultipleNegativesRankingLoss,
  TripletLoss,
} from './losses.js';
export type {
  CachedMultipleNegativesRankingOptions,
  CrossEncoderLoss,
  EmbeddingLoss,
  Loss,
  MultipleNegativesRankingOptions,
  RankingSimilarity,
  SentenceLoss,
  TripletDistance,
} from './losses.js';
export type { FitEvaluation, FitOptions, FitProgress, FitReport, Objective, Trainable } from './options.js';
export { schedules, type Schedule } from './schedule.js';
