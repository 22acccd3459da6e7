import { FlatrankError } from '../errors.js';
import { abortable } from '../runtime/calls.js';
import { checkDocument } from './checks.js';
import { type DocumentStore, duplicateId } from './document-store.js';
import type {
  RetrieverAddOptions,
  RetrieverAddResult,
  DocumentInput,
  RetrieverDocument,
  RetrieverEncoder,
} from './types.js';
import type { VectorStore } from './vector-store.js';

/** Documents that are encoded in one call: bounds the memory of texts in flight, and how soon an abort is seen. */
const windowDocuments = 1024;

/** A document whose id may still have to be made. */
type Pending<M> = Omit<RetrieverDocument<M>, 'id'> & { id?: string };

/** Where an {@link intake} puts what it takes in. */
interface Stores<M> {
  documents: DocumentStore<M>;
  vectors: VectorStore;
}

/**
 * Takes documents in, all or none: encodes them window by window, stages their vectors, and makes documents and vectors
 * visible together. One intake at a time.
 */
export async function intake<M>(
  inputs: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>,
  stores: Stores<M>,
  encoder: RetrieverEncoder,
  normalize: boolean,
  options: RetrieverAddOptions,
): Promise<RetrieverAddResult> {
  const { vectors } = stores;
  const pending: Pending<M>[] = [];
  let truncated = 0;
  try {
    for await (const window of windows(inputs, stores.documents, options.signal)) {
      const { matrix, cut } = await encodeWindow(window, pending.length, totalOf(inputs), encoder, normalize, options);
      if (matrix.rows !== window.length || matrix.cols !== encoder.dimension)
        throw new FlatrankError(
          'ERR_DIMENSION',
          `Expected \`encodeDocument\` to give ${window.length} x ${encoder.dimension} values but received ` +
            `${matrix.rows} x ${matrix.cols}`,
        );
      vectors.stage(matrix);
      truncated += cut;
      for (const document of window) pending.push(document);
    }
    await publish(pending, stores, options.signal);
    return { added: pending.length, truncated };
  } catch (error) {
    vectors.rollback();
    throw error;
  }
}

/**
 * Documents are reached through their vectors only, so that the commit of the vectors is the one moment at which both
 * become visible.
 */
async function publish<M>(pending: Pending<M>[], stores: Stores<M>, signal: AbortSignal | undefined): Promise<void> {
  const { documents, vectors } = stores;
  const before = documents.count;
  documents.append(withIds(pending, documents));
  try {
    signal?.throwIfAborted();
    await vectors.commit(signal);
  } catch (error) {
    documents.truncate(before);
    throw error;
  }
}

/** Makes the missing ids: numbers, counted on from how many documents there are, past those that are taken. */
function withIds<M>(pending: readonly Pending<M>[], documents: DocumentStore<M>): RetrieverDocument<M>[] {
  const given = new Set<string>();
  for (const { id } of pending) if (id !== undefined) given.add(id);
  let number = documents.count;
  return pending.map(({ id, text, metadata }) => {
    if (id !== undefined) return { id, text, metadata };
    while (given.has(String(number)) || documents.has(String(number))) number++;
    return { id: String(number++), text, metadata };
  });
}

async function encodeWindow<M>(
  window: readonly Pending<M>[],
  before: number,
  total: number | undefined,
  encoder: RetrieverEncoder,
  normalize: boolean,
  { batchTokens, onProgress, signal }: RetrieverAddOptions,
): Promise<{ matrix: Awaited<ReturnType<RetrieverEncoder['encodeDocument']>>; cut: number }> {
  let cut = 0;
  const texts = window.map(({ text }) => text);
  const matrix = await encoder.encodeDocument(texts, {
    normalize,
    onTruncated: ({ count }) => {
      cut = count;
    },
    ...(batchTokens === undefined ? {} : { batchTokens }),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress: shifted(onProgress, before, total) } : {}),
  });
  return { matrix, cut };
}

function shifted(
  onProgress: NonNullable<RetrieverAddOptions['onProgress']>,
  before: number,
  total: number | undefined,
): (progress: { done: number }) => void {
  return ({ done }) => {
    onProgress({ done: before + done, total });
  };
}

/** The documents, checked, in windows. An abort does not wait for a source that is slow to give its next document. */
async function* windows<M>(
  inputs: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>,
  documents: DocumentStore<M>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Pending<M>[], void, undefined> {
  const seen = new Set<string>();
  let read = 0;
  let window: Pending<M>[] = [];
  for await (const input of abortableSource(inputs, signal)) {
    const { id, text, metadata } = checkDocument(input, read++);
    if (id !== undefined) {
      if (seen.has(id) || documents.has(id)) throw duplicateId(id);
      seen.add(id);
    }
    window.push({ ...(id === undefined ? {} : { id }), text, metadata: metadata ?? ({} as M) });
    if (window.length < windowDocuments) continue;
    yield window;
    window = [];
  }
  if (window.length > 0) yield window;
}

async function* abortableSource<T>(
  source: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  if (!(Symbol.asyncIterator in source)) {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const next = await abortable(signal, iterator.next());
      if (next.done) break;
      yield next.value;
    }
    finished = true;
  } finally {
    // Not awaited: a source that is in the middle of something answers only when it is through with it.
    if (!finished) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function totalOf(inputs: object): number | undefined {
  if (Array.isArray(inputs)) return inputs.length;
  return inputs instanceof Set || inputs instanceof Map ? inputs.size : undefined;
}
