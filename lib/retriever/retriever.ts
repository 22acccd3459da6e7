import { resolve } from 'node:path';
import {
  FlatrankError,
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkSignal,
  checkString,
  invalidArgument,
} from '../errors.js';
import { pickRows } from '../matrix.js';
import { Calls, Turns } from '../runtime/calls.js';
import { Batcher } from './batcher.js';
import {
  checkBlend,
  checkCallback,
  checkCrossEncoder,
  checkDocuments,
  checkEncoder,
  checkHits,
  checkIds,
  checkOptions,
  checkQueries,
  checkSplit,
} from './checks.js';
import { type Collection, collectionOf } from './collection.js';
import { compileFilter, type Filter, type FilterPlan } from './filter.js';
import { intake } from './intake.js';
import { liveRows } from './live-rows.js';
import { MemoryCollection } from './memory-collection.js';
import { chooseMetric, toScore } from './metric.js';
import { rerankHits } from './rerank.js';
import { holding } from './segment.js';
import { checkModel, describeModel, loadModel } from './store/model.js';
import { saveStore } from './store/save.js';
import { StoreCollection } from './store/store-collection.js';
import type {
  RetrieverAddOptions,
  RetrieverAddResult,
  DocumentInput,
  Hit,
  RerankOptions,
  RetrieveOptions,
  RetrieverCrossEncoder,
  RetrieverDocument,
  RetrieverEncoder,
  RetrieverMetric,
  RetrieverOpenOptions,
  RetrieverOptions,
  RetrieverSearchOptions,
} from './types.js';
import { type Found, searchSnapshot } from './view.js';

/** Queries that are answered together, at most. A longer list is a batch of its own. */
const batchQueries = 64;

interface Parts<M> {
  encoder: RetrieverEncoder;
  crossEncoder: RetrieverCrossEncoder | undefined;
  metric: RetrieverMetric;
  collection: Collection<M>;
  /** Disposes the encoder where it is ours. */
  release?: () => Promise<void>;
}

/** What one call of `search` asks. */
interface Question {
  readonly queries: readonly string[];
  readonly k: number;
  readonly filter: FilterPlan | undefined;
}

/**
 * Documents that can be asked: texts in, ranked answers out. A bi-encoder finds candidates by an exact search over
 * every embedding, and a cross-encoder reads each of them beside the query and orders them anew, as
 * sentence-transformers' retrieve and re-rank does.
 *
 * A search sees every `add` and `remove` that was done before it was called, and none half done; searches that come
 * together are answered together. Everything that is awaited rejects with a FlatrankError, or with `signal.reason` where
 * it was aborted, and never throws.
 */
export class Retriever<M = Record<string, unknown>> {
  /** How a query and a document are compared. */
  readonly metric: RetrieverMetric;
  readonly #parts: Parts<M>;
  readonly #calls = new Calls('Retriever');
  readonly #changes = new Turns();
  readonly #questions = new Batcher<Question, Hit<M>[][]>(
    (questions, signal) => this.#answer(questions, signal),
    batchQueries,
  );

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
    return new Retriever<M>({
      encoder,
      crossEncoder,
      metric,
      collection: new MemoryCollection(encoder.dimension, metric),
    });
  }

  /**
   * The store in a directory, as `save` or the command line made it. Vectors stay on the disk and are mapped. Every `add`
   * and `remove` that resolves is on the disk for good, without a `save`; the first of them takes the store's lock, which
   * `dispose` gives back. Without changes any number of processes may open a store beside one that writes; each sees
   * it as it was when it opened it, until `refresh`.
   * @throws FlatrankError `ERR_NOT_FOUND` where there is no store, `ERR_BAD_FILE` that names the file, `ERR_UNSUPPORTED`
   *   for a later format, `ERR_MODEL_MISMATCH` where another model made it
   */
  static async open<M = Record<string, unknown>>(
    directory: string,
    options?: RetrieverOpenOptions,
  ): Promise<Retriever<M>> {
    checkString('directory', directory);
    const checked = checkOptions(options, ['encoder', 'crossEncoder', 'readOnly', 'onProgress', 'signal']);
    const given = checked.encoder === undefined ? undefined : checkEncoder(checked.encoder);
    const crossEncoder = checkCrossEncoder(checked.crossEncoder);
    const readOnly = checkBoolean('readOnly', checked.readOnly ?? false);
    const onProgress = checkCallback('onProgress', checked.onProgress);
    const signal = checkSignal(checked.signal);
    const collection = await StoreCollection.open<M>(resolve(directory), readOnly);
    try {
      const { metric, dimension, model } = collection.manifest;
      const loaded = given ? undefined : await loadModel(directory, model, { onProgress, signal });
      try {
        const encoder = (given ?? loaded)!;
        await checkModel(directory, { dimension, model }, encoder);
        const release = loaded && (() => loaded.dispose());
        return new Retriever<M>({ encoder, crossEncoder, metric, collection, ...(release ? { release } : {}) });
      } catch (error) {
        await loaded?.dispose();
        throw error;
      }
    } catch (error) {
      await collection.dispose();
      throw error;
    }
  }

  /** How many documents a search sees; one of several passages is one. */
  get size(): number {
    return this.#parts.collection.snapshot.documents;
  }

  /** @internal */
  get [collectionOf](): Collection<M> {
    return this.#parts.collection;
  }

  /**
   * Encodes documents and adds them, all or none: where it rejects, nothing was added. Documents without an id get one
   * (`'0'`, `'1'`, …). Additions and removals run one after another, in the order of the calls. A source is asked for
   * its next documents when the last ones are encoded and put away. In memory, metadata is kept as it is, not copied,
   * and must not be changed; a store writes it as JSON.
   * @throws FlatrankError `ERR_DUPLICATE_ID` for an id that is there or given twice, `ERR_INVALID_ARGUMENT` naming the
   *   document; of a store also `ERR_LOCKED`, and `ERR_IO` where it could not be written
   */
  async add(
    documents: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>,
    options?: RetrieverAddOptions,
  ): Promise<RetrieverAddResult> {
    const inputs = checkDocuments(documents);
    const checked = checkOptions(options, ['onDuplicate', 'split', 'batchTokens', 'onProgress', 'signal']);
    checkOneOf('onDuplicate', checked.onDuplicate ?? 'error', ['error', 'replace']);
    checkSplit(checked.split);
    if (checked.batchTokens !== undefined) checkInteger('batchTokens', checked.batchTokens);
    checkCallback('onProgress', checked.onProgress);
    const signal = checkSignal(checked.signal);

    const { encoder, metric, collection } = this.#parts;
    return this.#change(signal, () => intake(inputs, collection, encoder, metric === 'cosine', checked));
  }

  /**
   * Removes the documents with these ids, with all their passages, at one moment. Ids that are not there are passed over.
   * @returns how many documents were removed
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`; of a store also `ERR_LOCKED` and `ERR_IO`
   */
  async remove(ids: string | readonly string[], options?: { signal?: AbortSignal }): Promise<{ removed: number }> {
    const checkedIds = checkIds(ids);
    const signal = checkSignal(checkOptions(options, ['signal']).signal);
    return this.#change(signal, async () => ({ removed: await this.#parts.collection.remove(checkedIds, signal) }));
  }

  /**
   * Frees the room of removed documents, and makes one of a store's many parts. Searches go on meanwhile.
   * @throws FlatrankError as `remove`
   */
  async compact(options?: { signal?: AbortSignal }): Promise<void> {
    const signal = checkSignal(checkOptions(options, ['signal']).signal);
    return this.#change(signal, () => this.#parts.collection.compact(signal));
  }

  /**
   * Writes all documents to a directory, as a store for {@link Retriever.open}: at once and whole, in place of a store that
   * is there. Where it rejects, what was there is as before. This Retriever goes on as it is: one in memory stays there.
   * One that was opened from this very directory has nothing to write, as its changes are on the disk already.
   * @throws FlatrankError `ERR_LOCKED` where somebody writes to it, `ERR_BAD_FILE` where it has a damaged store, `ERR_IO`
   */
  async save(directory: string, options?: { signal?: AbortSignal }): Promise<void> {
    if (checkString('directory', directory) === '') throw invalidArgument('directory', 'a path', directory);
    const signal = checkSignal(checkOptions(options, ['signal']).signal);
    return this.#calls.run(async () => {
      const { encoder, metric, collection } = this.#parts;
      const target = resolve(directory);
      if (collection instanceof StoreCollection && collection.directory === target) return;
      const meta = { metric, dimension: encoder.dimension, model: await describeModel(encoder) };
      await holding(collection.snapshot, (snapshot) => saveStore(target, snapshot, meta, signal));
    });
  }

  /**
   * Sees what other processes wrote to the store since it was opened.
   * @returns whether there was something
   * @throws FlatrankError as `open`, `ERR_MODEL_MISMATCH` also where a store of another metric was saved in its place;
   *   `ERR_UNSUPPORTED` for a Retriever in memory
   */
  async refresh(): Promise<boolean> {
    return this.#change(undefined, async () => {
      const { collection } = this.#parts;
      if (collection instanceof StoreCollection) return collection.refresh();
      throw new FlatrankError('ERR_UNSUPPORTED', 'Expected a Retriever that was opened from a store');
    });
  }

  /**
   * All documents as they are now, in the order they were added; of one that was split, its passages.
   * @throws FlatrankError `ERR_DISPOSED`; of a store also `ERR_BAD_FILE`
   */
  async *documents(): AsyncGenerator<RetrieverDocument<M>, void, undefined> {
    this.#calls.check();
    const { snapshot } = this.#parts.collection;
    for (const { segment } of snapshot.parts) segment.retain();
    try {
      for await (const { rows } of liveRows(snapshot))
        for (const { id, text, metadata } of rows) yield { id, text, metadata };
    } finally {
      for (const { segment } of snapshot.parts) await segment.release();
    }
  }

  /**
   * The documents most like the query, best first, by the bi-encoder: at most k, fewer where there are fewer.
   * @returns the hits of the query, or of each query where an array was given
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`; of a store also `ERR_BAD_FILE` where what it reads is damaged
   */
  async search(query: string, options?: RetrieverSearchOptions<M>): Promise<Hit<M>[]>;
  async search(query: readonly string[], options?: RetrieverSearchOptions<M>): Promise<Hit<M>[][]>;
  async search(query: string | readonly string[], options?: RetrieverSearchOptions<M>): Promise<Hit<M>[] | Hit<M>[][]>;
  async search(query: string | readonly string[], options?: RetrieverSearchOptions<M>): Promise<Hit<M>[] | Hit<M>[][]> {
    const { queries, single } = checkQueries(query);
    const checked = checkOptions(options, ['k', 'filter', 'signal']);
    const k = checkInteger('k', checked.k ?? 10);
    const filter = checkFilter(checked.filter);
    const signal = checkSignal(checked.signal);
    const hits = await this.#calls.run(() => this.#find({ queries, k, filter }, signal));
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
  async retrieve(query: string, options?: RetrieveOptions<M>): Promise<Hit<M>[]> {
    checkString('query', query);
    const checked = checkOptions(options, ['biK', 'crossK', 'blend', 'filter', 'signal']);
    const biK = checkInteger('biK', checked.biK ?? 30);
    const crossK = checkInteger('crossK', checked.crossK ?? 10);
    const blend = checkBlend(checked);
    const filter = checkFilter(checked.filter);
    const signal = checkSignal(checked.signal);
    const crossEncoder = this.#requireCrossEncoder();
    return this.#calls.run(async () => {
      const [candidates] = await this.#find({ queries: [query], k: biK, filter }, signal);
      return rerankHits(crossEncoder, query, candidates!, { k: crossK, blend, signal });
    });
  }

  /**
   * Lets go of documents and vectors, and of a store's lock, once the calls that run have ended; later calls reject with
   * `ERR_DISPOSED`. May be called again. Encoders that were given are not disposed: whoever loaded them does that.
   */
  dispose(): Promise<void> {
    return this.#calls.dispose(async () => {
      await this.#parts.collection.dispose();
      await this.#parts.release?.();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #change<T>(signal: AbortSignal | undefined, job: () => Promise<T>): Promise<T> {
    return this.#calls.run(() => this.#changes.take(signal, job));
  }

  async #find(question: Question, signal: AbortSignal | undefined): Promise<Hit<M>[][]> {
    const { queries } = question;
    if (this.#parts.collection.snapshot.parts.length === 0 || queries.length === 0) return queries.map(() => []);
    if (queries.length <= batchQueries) return this.#questions.do(question, signal);
    const [hits] = await this.#answer([question], signal);
    return hits!;
  }

  /** Encodes all queries in one call, and compares those that look at the same documents in one search. */
  async #answer(questions: readonly Question[], signal: AbortSignal | undefined): Promise<Hit<M>[][][]> {
    const { encoder, metric, collection } = this.#parts;
    const embeddings = await encoder.encodeQuery(
      questions.flatMap(({ queries }) => queries),
      { normalize: metric === 'cosine', ...(signal ? { signal } : {}) },
    );
    const groups = new Map<string | undefined, number[]>();
    for (const [i, { filter }] of questions.entries()) groups.set(filter?.key, [...(groups.get(filter?.key) ?? []), i]);
    const starts = [0];
    for (const { queries } of questions) starts.push(starts.at(-1)! + queries.length);
    const answers = new Array<Hit<M>[][]>(questions.length);
    await holding(collection.snapshot, async (snapshot) => {
      for (const group of groups.values()) {
        const rows = group.flatMap((i) => questions[i]!.queries.map((_, j) => starts[i]! + j));
        const k = Math.max(...group.map((i) => questions[i]!.k));
        const found = await searchSnapshot(
          snapshot,
          questions[group[0]!]!.filter,
          pickRows(embeddings, rows),
          k,
          signal,
        );
        let next = 0;
        for (const i of group)
          answers[i] = questions[i]!.queries.map(() =>
            found[next++]!.slice(0, questions[i]!.k).map((hit) => toHit(metric, hit)),
          );
      }
    });
    return answers;
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

function checkFilter<M>(filter: Filter<M> | undefined): FilterPlan | undefined {
  return filter === undefined ? undefined : compileFilter(filter);
}

function toHit<M>(metric: RetrieverMetric, { row, distance }: Found<M>): Hit<M> {
  const { id, text, metadata, passage } = row;
  const score = toScore(metric, distance);
  return { id, text, metadata, score, retrievalScore: score, ...(passage ? { passage } : {}) };
}
