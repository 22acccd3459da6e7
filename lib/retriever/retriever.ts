import { FlatrankError, checkInteger, checkOneOf, checkSignal, checkString } from '../errors.js';
import { Calls, Turns } from '../runtime/calls.js';
import {
  checkBlend,
  checkCallback,
  checkCrossEncoder,
  checkDocuments,
  checkEncoder,
  checkHits,
  checkOptions,
  checkQueries,
} from './checks.js';
import { type DocumentStore, MemoryDocumentStore } from './document-store.js';
import { intake } from './intake.js';
import { chooseMetric, toScore } from './metric.js';
import { rerankHits } from './rerank.js';
import type {
  RetrieverAddOptions,
  RetrieverAddResult,
  DocumentInput,
  Hit,
  RerankOptions,
  RetrieveOptions,
  RetrieverCrossEncoder,
  RetrieverEncoder,
  RetrieverMetric,
  RetrieverOptions,
  RetrieverSearchOptions,
} from './types.js';
import { FlatVectorStore, type VectorStore } from './vector-store.js';

interface Parts<M> {
  encoder: RetrieverEncoder;
  crossEncoder: RetrieverCrossEncoder | undefined;
  metric: RetrieverMetric;
  documents: DocumentStore<M>;
  vectors: VectorStore;
}

/**
 * Documents that can be asked: texts in, ranked answers out. A bi-encoder finds candidates by an exact search over
 * every embedding, and a cross-encoder reads each of them beside the query and orders them anew, as
 * sentence-transformers' retrieve and re-rank does.
 *
 * A search sees every `add` that was done before it was called, and none half done. Everything that is awaited rejects
 * with a FlatrankError, or with `signal.reason` where it was aborted, and never throws.
 */
export class Retriever<M = Record<string, unknown>> {
  /** How a query and a document are compared. */
  readonly metric: RetrieverMetric;
  readonly #parts: Parts<M>;
  readonly #calls = new Calls('Retriever');
  readonly #additions = new Turns();

  private constructor(parts: Parts<M>) {
    this.metric = parts.metric;
    this.#parts = parts;
  }

  /**
   * An empty Retriever in memory. The models stay the caller's: `dispose` leaves them as they are.
   * @throws FlatrankError `ERR_UNSUPPORTED` for a cross-encoder with more than one label, a model of manhattan
   *   similarity without `metric`, or an unknown option
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- so that bad arguments reject
  static async create<M = Record<string, unknown>>(options: RetrieverOptions): Promise<Retriever<M>> {
    const checked = checkOptions(options, ['encoder', 'crossEncoder', 'metric']);
    const encoder = checkEncoder(checked.encoder);
    const crossEncoder = checkCrossEncoder(checked.crossEncoder);
    const metric = chooseMetric(checked.metric, encoder);
    const vectors = new FlatVectorStore(encoder.dimension, metric);
    return new Retriever<M>({ encoder, crossEncoder, metric, documents: new MemoryDocumentStore<M>(), vectors });
  }

  /** How many documents a search sees. */
  get size(): number {
    return this.#parts.vectors.count;
  }

  /**
   * Encodes documents and adds them, all or none: where it rejects, nothing was added. Documents without an id get one
   * (`'0'`, `'1'`, …). Additions run one after another, in the order of the calls. Metadata is kept as it is, not copied.
   * @throws FlatrankError `ERR_DUPLICATE_ID` for an id that is there or given twice, `ERR_INVALID_ARGUMENT` naming the
   *   document
   */
  async add(
    documents: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>,
    options?: RetrieverAddOptions,
  ): Promise<RetrieverAddResult> {
    const inputs = checkDocuments(documents);
    const checked = checkOptions(options, ['onDuplicate', 'batchTokens', 'onProgress', 'signal']);
    const onDuplicate: string = checked.onDuplicate ?? 'error';
    if (onDuplicate === 'replace')
      throw new FlatrankError('ERR_UNSUPPORTED', "Expected `onDuplicate` to be 'error': nothing is replaced yet");
    checkOneOf('onDuplicate', onDuplicate, ['error']);
    if (checked.batchTokens !== undefined) checkInteger('batchTokens', checked.batchTokens);
    checkCallback('onProgress', checked.onProgress);
    const signal = checkSignal(checked.signal);

    const { encoder, metric } = this.#parts;
    return this.#calls.run(() =>
      this.#additions.take(signal, () => intake(inputs, this.#parts, encoder, metric === 'cosine', checked)),
    );
  }

  /**
   * The documents most like the query, best first, by the bi-encoder: at most k, fewer where there are fewer.
   * @returns the hits of the query, or of each query where an array was given
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`
   */
  async search(query: string, options?: RetrieverSearchOptions): Promise<Hit<M>[]>;
  async search(query: readonly string[], options?: RetrieverSearchOptions): Promise<Hit<M>[][]>;
  async search(query: string | readonly string[], options?: RetrieverSearchOptions): Promise<Hit<M>[] | Hit<M>[][]> {
    const { queries, single } = checkQueries(query);
    const checked = checkOptions(options, ['k', 'signal']);
    const k = checkInteger('k', checked.k ?? 10);
    const signal = checkSignal(checked.signal);
    const hits = await this.#calls.run(() => this.#find(queries, k, signal));
    return single ? hits[0]! : hits;
  }

  /**
   * Orders hits by what the cross-encoder says of each beside the query: by its logit + blend · the retrieval score,
   * best first; of equal ones the earlier stays first. The answer's `score` is that sum, `rerankScore` the logit.
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`, also where the Retriever has no cross-encoder
   */
  async rerank(query: string, hits: readonly Hit<M>[], options?: RerankOptions): Promise<Hit<M>[]> {
    checkString('query', query);
    const candidates = checkHits(hits);
    const checked = checkOptions(options, ['k', 'blend', 'signal']);
    const k = checkInteger('k', checked.k ?? 10);
    const blend = checkBlend(checked);
    const signal = checkSignal(checked.signal);
    const crossEncoder = this.#requireCrossEncoder();
    return this.#calls.run(() => rerankHits(crossEncoder, query, candidates, { k, blend, signal }));
  }

  /**
   * Both steps: the bi-encoder's best `biK`, ordered by the cross-encoder and cut to `crossK`.
   * @throws FlatrankError as `search` and `rerank`
   */
  async retrieve(query: string, options?: RetrieveOptions): Promise<Hit<M>[]> {
    checkString('query', query);
    const checked = checkOptions(options, ['biK', 'crossK', 'blend', 'signal']);
    const biK = checkInteger('biK', checked.biK ?? 30);
    const crossK = checkInteger('crossK', checked.crossK ?? 10);
    const blend = checkBlend(checked);
    const signal = checkSignal(checked.signal);
    const crossEncoder = this.#requireCrossEncoder();
    return this.#calls.run(async () => {
      const [candidates] = await this.#find([query], biK, signal);
      return rerankHits(crossEncoder, query, candidates!, { k: crossK, blend, signal });
    });
  }

  /**
   * Lets go of documents and vectors once the calls that run have ended; later calls reject with `ERR_DISPOSED`. May be
   * called again. The encoders are not disposed: whoever loaded them does that.
   */
  dispose(): Promise<void> {
    return this.#calls.dispose(async () => {
      await this.#parts.vectors.dispose();
      this.#parts.documents.dispose();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #find(queries: readonly string[], k: number, signal: AbortSignal | undefined): Promise<Hit<M>[][]> {
    const { encoder, metric, vectors, documents } = this.#parts;
    if (vectors.count === 0 || queries.length === 0) return queries.map(() => []);
    const embeddings = await encoder.encodeQuery(queries, {
      normalize: metric === 'cosine',
      ...(signal ? { signal } : {}),
    });
    const width = Math.min(k, vectors.count);
    const { distances, labels } = await vectors.search(embeddings, width, signal);
    return Promise.all(
      queries.map(async (_, q) => {
        const padded = labels.subarray(q * width, (q + 1) * width);
        const rows = [...padded].filter((row) => row >= 0);
        const found = await documents.get(rows);
        return found.map((document, i) => {
          const score = toScore(metric, distances[q * width + i]!);
          return { ...document, score, retrievalScore: score };
        });
      }),
    );
  }

  #requireCrossEncoder(): RetrieverCrossEncoder {
    const { crossEncoder } = this.#parts;
    if (crossEncoder) return crossEncoder;
    throw new FlatrankError(
      'ERR_INVALID_ARGUMENT',
      'Expected this Retriever to have a cross-encoder but it was created without: ' +
        'Retriever.create({ encoder, crossEncoder })',
    );
  }
}
