export type { Filter, FilterCondition, FilterScalar } from './filter.js';
export { splitText, type SplitTextOptions, type TextPassage } from './passages.js';
export { Retriever } from './retriever.js';
export type {
  RetrieverAddOptions,
  RetrieverAddResult,
  DocumentInput,
  Hit,
  Passage,
  RerankOptions,
  RetrieveOptions,
  RetrieverCrossEncoder,
  RetrieverDocument,
  RetrieverEncodeOptions,
  RetrieverEncoder,
  RetrieverMetric,
  RetrieverOpenOptions,
  RetrieverOptions,
  RetrieverSearchOptions,
} from './types.js';
