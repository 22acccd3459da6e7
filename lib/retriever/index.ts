export { Retriever } from './retriever.js';
export type {
  AddOptions,
  AddResult,
  DocumentInput,
  Hit,
  RerankOptions,
  RetrieveOptions,
  RetrieverCrossEncoder,
  RetrieverDocument,
  RetrieverEncodeOptions,
  RetrieverEncoder,
  RetrieverMetric,
  RetrieverOptions,
  SearchOptions,
} from './types.js';
