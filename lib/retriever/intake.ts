import type { TokenCounter } from '../data/index.js';
import { FlatrankError, describe } from '../errors.js';
import type { Matrix } from '../matrix.js';
import { abortable } from '../runtime/calls.js';
import { checkDocument } from './checks.js';
import type { Addition, Collection } from './collection.js';
import { documentCounter } from './document-counter.js';
import { splitText } from './passages.js';
import type { Row } from './segment.js';
import type { DocumentInput, RetrieverAddOptions, RetrieverAddResult, RetrieverEncoder } from './types.js';

/**
 * A window of documents is read, encoded and put away before the next is read: bounds the memory of texts in flight, how
 * far ahead of us a source can be, and how soon an abort is seen.
 */
const windowDocuments = 1024;
const windowCharacters = 1 << 22;

/** A document whose id may still have to be made. */
type Pending<M> = Omit<Row<M>, 'id'> & { id?: string };

/** Takes documents in, all or none. One intake at a time. */
export async function intake<M>(
  inputs: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>,
  collection: Collection<M>,
  encoder: RetrieverEncoder,
  normalize: boolean,
  options: RetrieverAddOptions,
): Promise<RetrieverAddResult> {
  const { signal, split } = options;
  const counter = split === undefined ? undefined : documentCounter(encoder, signal);
  const addition = await collection.begin();
  let truncated = 0;
  let read = 0;
  try {
    for await (const window of windows(inputs, addition, options)) {
      const rows = counter ? await passagesOf(window, counter, split!) : window;
      const progress = counter ? undefined : shifted(options.onProgress, read, totalOf(inputs));
      const { matrix, cut } = await encodeRows(rows, encoder, normalize, options, progress);
      await addition.append(rows, matrix);
      truncated += cut;
      read += window.length;
      if (counter) options.onProgress?.({ done: read, total: totalOf(inputs) });
    }
    signal?.throwIfAborted();
    return { added: await addition.commit(signal), truncated };
  } catch (error) {
    await addition.rollback();
    throw error;
  }
}

/** The passages of the documents; a document that fits stays as it is. */
async function passagesOf<M>(
  documents: readonly Row<M>[],
  counter: TokenCounter,
  split: NonNullable<RetrieverAddOptions['split']>,
): Promise<Row<M>[]> {
  const rows: Row<M>[] = [];
  for (const document of documents) {
    const passages = await splitText(document.text, counter, split);
    if (passages.length === 1) rows.push(document);
    else for (const { text, ...passage } of passages) rows.push({ ...document, text, passage });
  }
  return rows;
}

async function encodeRows<M>(
  rows: readonly Row<M>[],
  encoder: RetrieverEncoder,
  normalize: boolean,
  { batchTokens, signal }: RetrieverAddOptions,
  onProgress: ((progress: { done: number }) => void) | undefined,
): Promise<{ matrix: Matrix; cut: number }> {
  let cut = 0;
  const texts = rows.map(({ text }) => text);
  const matrix = await encoder.encodeDocument(texts, {
    normalize,
    onTruncated: ({ count }) => {
      cut = count;
    },
    ...(batchTokens === undefined ? {} : { batchTokens }),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
  if (matrix.rows !== rows.length || matrix.cols !== encoder.dimension)
    throw new FlatrankError(
      'ERR_DIMENSION',
      `Expected \`encodeDocument\` to give ${rows.length} x ${encoder.dimension} values but received ` +
        `${matrix.rows} x ${matrix.cols}`,
    );
  return { matrix, cut };
}

function shifted(
  onProgress: RetrieverAddOptions['onProgress'],
  before: number,
  total: number | undefined,
): ((progress: { done: number }) => void) | undefined {
  return (
    onProgress &&
    (({ done }) => {
      onProgress({ done: before + done, total });
    })
  );
}

/** The documents, checked and with ids, in windows. An abort does not wait for a source that is slow to give its next. */
async function* windows<M>(
  inputs: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>,
  addition: Addition<M>,
  { signal, onDuplicate }: RetrieverAddOptions,
): AsyncGenerator<Row<M>[], void, undefined> {
  const naming = new Naming(addition, givenIds(inputs), onDuplicate === 'replace');
  let read = 0;
  let characters = 0;
  let window: Pending<M>[] = [];
  for await (const input of abortableSource(inputs, signal)) {
    const document = checkDocument(input, read++);
    if (document.id !== undefined) naming.check(document.id);
    window.push({ ...document, metadata: document.metadata ?? ({} as M) });
    characters += document.text.length;
    if (window.length < windowDocuments && characters < windowCharacters) continue;
    yield naming.name(window);
    window = [];
    characters = 0;
  }
  if (window.length > 0) yield naming.name(window);
}

/** Gives ids to documents that have none, and finds those that are there already. */
class Naming<M> {
  readonly #addition: Addition<M>;
  readonly #reserved: ReadonlySet<string>;
  readonly #replace: boolean;
  /** Ids that were made. */
  readonly #made = new Set<string>();
  #window = new Set<string>();
  #number: number;

  constructor(addition: Addition<M>, reserved: ReadonlySet<string>, replace: boolean) {
    this.#addition = addition;
    this.#reserved = reserved;
    this.#replace = replace;
    this.#number = addition.firstNumber;
  }

  /** @throws FlatrankError `ERR_DUPLICATE_ID` */
  check(id: string): void {
    if (this.#made.has(id))
      throw new FlatrankError(
        'ERR_DUPLICATE_ID',
        `Expected every document of a stream to have an id, or none, but ${describe(id)} was made for an earlier one without`,
      );
    if (!this.#replace && (this.#window.has(id) || this.#addition.has(id))) throw duplicateId(id);
    this.#window.add(id);
  }

  /** The window with all ids; of documents with the same id the last. */
  name(window: readonly Pending<M>[]): Row<M>[] {
    const named = new Map<string, Row<M>>();
    for (const document of window) {
      const id = document.id ?? this.#make();
      named.delete(id);
      named.set(id, { ...document, id });
    }
    this.#window = new Set();
    return [...named.values()];
  }

  /** Numbers, past those that are taken. */
  #make(): string {
    for (;;) {
      const id = String(this.#number++);
      if (this.#window.has(id) || this.#reserved.has(id) || this.#addition.has(id)) continue;
      this.#made.add(id);
      return id;
    }
  }
}

/** The ids that an array gives: made ids pass over them, wherever they stand. A stream's are not known before they come. */
function givenIds<M>(inputs: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>): ReadonlySet<string> {
  const ids = new Set<string>();
  if (Array.isArray(inputs))
    for (const input of inputs as ({ readonly id?: unknown } | null | undefined)[])
      if (typeof input?.id === 'string') ids.add(input.id);
  return ids;
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

/** An `ERR_DUPLICATE_ID` that names the id. */
function duplicateId(id: string): FlatrankError {
  return new FlatrankError(
    'ERR_DUPLICATE_ID',
    `Expected every document to have its own id but ${describe(id)} is taken`,
  );
}
