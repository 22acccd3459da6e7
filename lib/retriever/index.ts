export { Retriever } from './retriever.js';
export type {
  RetrieverAddOptions,
  RetrieverAddResult,
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
  RetrieverSearchOptions,
} from './types.js';
