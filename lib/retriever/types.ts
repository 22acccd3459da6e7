import type { Matrix } from '../matrix.js';
import type { ModelSource } from '../model/index.js';
import type { Filter } from './filter.js';
import type { SplitTextOptions } from './passages.js';

/** Options that a {@link Retriever} hands to its bi-encoder. */
export interface RetrieverEncodeOptions {
  /** Scale every embedding to length 1. */
  normalize?: boolean;
  /** The most tokens of a batch, as the encoder counts them. */
  batchTokens?: number;
  /** Called with texts done of all texts of the call. */
  onProgress?: (progress: { done: number; total: number }) => void;
  /** Called with what the model's maximal length cut off. */
  onTruncated?: (info: { count: number; indices: Int32Array }) => void;
  signal?: AbortSignal;
}

/** What a {@link Retriever} needs of a bi-encoder; `SentenceTransformer` has it. */
export interface RetrieverEncoder {
  readonly dimension: number;
  /** The similarity the model was trained for: `'cosine'`, `'dot'`, `'euclidean'` or `'manhattan'`. */
  readonly similarityFnName?: string;
  /** Embeddings of queries (n, dimension). */
  encodeQuery(texts: readonly string[], options?: RetrieverEncodeOptions): Promise<Matrix>;
  /** Embeddings of documents (n, dimension). */
  encodeDocument(texts: readonly string[], options?: RetrieverEncodeOptions): Promise<Matrix>;
  /** Names the model and everything its embeddings depend on: a store refuses another one. */
  fingerprint?(): Promise<string>;
  /** Where the model was loaded from: a store that is opened without an encoder loads it from there. */
  readonly source?: ModelSource | undefined;
  /** Tokens of a text that the model reads, at most, and its count of them: what splitting needs. */
  readonly maxSeqLength?: number;
  countTokens?(texts: readonly string[], options?: { signal?: AbortSignal }): Promise<Int32Array>;
  /** The model's prompts by name: the one for documents counts as a part of them. */
  readonly prompts?: Readonly<Record<string, string>>;
}

/** What a {@link Retriever} needs of a cross-encoder; `CrossEncoder` with one label has it. */
export interface RetrieverCrossEncoder {
  readonly numLabels?: number;
  /** One logit a pair (n), where `activation` is `'none'`. */
  predict(
    pairs: readonly (readonly [string, string])[],
    options?: { activation?: 'none'; signal?: AbortSignal },
  ): Promise<Float32Array>;
}

/** How a query and a document are compared: cosine, inner product, or Euclidean distance. */
export type RetrieverMetric = 'cosine' | 'dot' | 'l2';

/** A document with what belongs to it. */
export interface RetrieverDocument<M> {
  id: string;
  text: string;
  metadata: M;
}

/** A document to add: its text alone, or with an id and metadata. */
export type DocumentInput<M> = string | { id?: string; text: string; metadata?: M };

/** Which part of its document a hit is, where the document was split. */
export interface Passage {
  /** Its number in the document, from 0. */
  index: number;
  /** Where it begins and ends in the document's text, in UTF-16 units. */
  start: number;
  end: number;
}

/** A document found. Scores are higher for better ones. */
export interface Hit<M> extends RetrieverDocument<M> {
  /** What the hits are ordered by: the retrieval score, or behind `rerank` the cross-encoder's logit + blend · it. */
  score: number;
  /** The bi-encoder's: cosine, inner product, or the negated Euclidean distance. */
  retrievalScore: number;
  /** The cross-encoder's logit, behind `rerank`. */
  rerankScore?: number;
  /** Where the document was split: which passage of it this is, and `text` is the passage's. */
  passage?: Passage;
}

/** Options of `Retriever.create`. */
export interface RetrieverOptions {
  encoder: RetrieverEncoder;
  /** Scores pairs of query and document in `rerank` and `retrieve`; it must have one label. */
  crossEncoder?: RetrieverCrossEncoder;
  /** The model's own similarity unless given, and cosine where the model names none. */
  metric?: RetrieverMetric;
}

/** Options of `Retriever.add`. */
export interface RetrieverAddOptions {
  /** What a document is whose id is there already, or comes twice: an error (unless given), or the new one in its place. */
  onDuplicate?: 'error' | 'replace';
  /** Splits documents that are longer than the model reads into passages; hits say which one they are. */
  split?: SplitTextOptions;
  /** The most tokens of a batch that the encoder runs. */
  batchTokens?: number;
  /** Called with documents encoded so far, and of how many where that is known. */
  onProgress?: (progress: { done: number; total: number | undefined }) => void;
  signal?: AbortSignal;
}

/** What an `add` did. */
export interface RetrieverAddResult {
  /** Documents added. */
  added: number;
  /** How many of them are longer than the model reads, so that only their beginning is searched. */
  truncated: number;
}

/** Options of `Retriever.open`. */
export interface RetrieverOpenOptions {
  /** The model the store was made with; loaded from where it was unless given, and then disposed with the Retriever. */
  encoder?: RetrieverEncoder;
  crossEncoder?: RetrieverCrossEncoder;
  /** Refuses every change. Without it the first change takes the store's lock. */
  readOnly?: boolean;
  /** Called with bytes where the store's own model has to be downloaded. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}

/** Options of `Retriever.search`. */
export interface RetrieverSearchOptions<M = Record<string, unknown>> {
  /** How many hits a query; 10 unless given. */
  k?: number;
  /** Which documents are looked at, by their metadata; all unless given. */
  filter?: Filter<M>;
  signal?: AbortSignal;
}

/** Options of `Retriever.rerank`. */
export interface RerankOptions {
  /** How many of the hits are kept; 10 unless given. */
  k?: number;
  /** Weight of the retrieval score beside the cross-encoder's logit; 0 unless given. */
  blend?: number;
  signal?: AbortSignal;
}

/** Options of `Retriever.retrieve`. */
export interface RetrieveOptions<M = Record<string, unknown>> {
  /** Which documents are looked at, by their metadata; all unless given. */
  filter?: Filter<M>;
  /** How many candidates the bi-encoder finds; 30 unless given. */
  biK?: number;
  /** How many of them are kept behind the cross-encoder; 10 unless given. */
  crossK?: number;
  /** Weight of the retrieval score beside the cross-encoder's logit; 0 unless given. */
  blend?: number;
  signal?: AbortSignal;
}
