/** Models: text in, embeddings or scores out. */
export { CrossEncoder } from './cross-encoder.js';
export type { CrossEncoderOptions, PredictOptions, RankedDocument, RankOptions } from './cross-encoder.js';
export type { CallOptions, Device, LoadOptions, Precision, Truncated } from './options.js';
export { SentenceTransformer } from './sentence-transformer.js';
export type {
  EncodeOptions,
  EncodeStreamOptions,
  ModelSource,
  Pooling,
  SentenceTransformerOptions,
} from './sentence-transformer.js';
export { similarityFunctions, type SimilarityFunction } from './similarity.js';
export type { OnProgress, Progress } from '../runtime/progress.js';
