/** Models: text in, embeddings or scores out. */
export { CrossEncoder } from './cross-encoder.js';
export type { EncoderConfig } from './configs.js';
export type {
  CrossEncoderInitializeOptions,
  CrossEncoderOptions,
  FromEncoderOptions,
  PredictOptions,
  RankedDocument,
  RankOptions,
} from './cross-encoder.js';
export type { CallOptions, Device, InitializeOptions, LoadOptions, Precision, Truncated } from './options.js';
export { SentenceTransformer } from './sentence-transformer.js';
export type {
  EncodeOptions,
  EncodeStreamOptions,
  Pooling,
  SentenceTransformerInitializeOptions,
  SentenceTransformerOptions,
} from './sentence-transformer.js';
export { similarityFunctions, type SimilarityFunction } from './similarity.js';
export type { OnProgress, Progress } from '../runtime/progress.js';
