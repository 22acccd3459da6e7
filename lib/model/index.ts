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
export type { CallOptions, InitializeOptions, LoadOptions, SaveOptions, Truncated } from './options.js';
export { SentenceTransformer } from './sentence-transformer.js';
export type {
  EncodeOptions,
  EncodeStreamOptions,
  ModelSource,
  Pooling,
  SentenceTransformerInitializeOptions,
  SentenceTransformerOptions,
} from './sentence-transformer.js';
export { similarityFunctions, type SimilarityFunction } from './similarity.js';
export type { OnProgress, Progress } from '../runtime/progress.js';
export type { Precision } from '../runtime/backend.js';
export type { Device } from '../runtime/device.js';
