import { FlatrankError, checkObject, describe, invalidArgument } from '../errors.js';
import { Matrix } from '../matrix.js';
import { notify, type OnProgress } from '../runtime/progress.js';
import type {
  Embeddings,
  EvaluatedCrossEncoder,
  EvaluatedEncodeOptions,
  EvaluatedEncoder,
  EvaluateOptions,
} from './evaluator.js';

/** As what a text is encoded: with the model's prompt for queries, for documents, or as `encode` has it. */
export type Role = 'query' | 'document' | 'text';

/** Several calls of a model, told as one. */
export class Progress {
  #before = 0;
  readonly #total: number;
  readonly #onProgress: OnProgress | undefined;
  readonly signal: AbortSignal | undefined;

  constructor(total: number, options: EvaluateOptions) {
    this.#total = total;
    this.#onProgress = checkObject('options', options).onProgress;
    this.signal = options.signal;
  }

  /** Runs a call over `count` units that itself counts `own` of them. */
  async part<T>(count: number, own: number, call: (options: CallOptions) => Promise<T>): Promise<T> {
    this.signal?.throwIfAborted();
    const onProgress: OnProgress = ({ done }) => {
      notify(this.#onProgress, { done: this.#before + Math.round((done * count) / own), total: this.#total });
    };
    const result = await call({
      ...(this.#onProgress ? { onProgress } : {}),
      ...(this.signal ? { signal: this.signal } : {}),
    });
    this.signal?.throwIfAborted(); // for models that do not look at it
    this.#before += count;
    return result;
  }

  /** Tells how far the work is, where no call does. */
  notify(): void {
    notify(this.#onProgress, { done: this.#before, total: this.#total });
  }
}

type CallOptions = Pick<EvaluatedEncodeOptions, 'onProgress' | 'signal'>;

/**
 * Embeddings (n, dimension) of texts. A text that comes twice is encoded once, so that equal texts have equal embeddings
 * to the bit, whatever they were batched with.
 * @throws FlatrankError `ERR_MODEL` where the model gives something else
 */
export async function embed(
  model: EvaluatedEncoder,
  role: Role,
  texts: readonly string[],
  progress: Progress,
  options: EvaluatedEncodeOptions = {},
): Promise<Matrix> {
  const places = new Map<string, number>();
  for (const text of texts) if (!places.has(text)) places.set(text, places.size);
  const distinct = [...places.keys()];
  if (distinct.length === 0) return new Matrix(new Float32Array(0), 0, 0);
  const encoded = await progress.part(texts.length, distinct.length, (call) =>
    encodeAs(model, role, distinct, { ...options, ...call }),
  );
  const unique = checkEmbeddings(encoded, distinct.length);
  if (distinct.length === texts.length) return unique;
  const { cols } = unique;
  const data = new Float32Array(texts.length * cols);
  for (const [i, text] of texts.entries()) data.set(unique.row(places.get(text)!), i * cols);
  return new Matrix(data, texts.length, cols);
}

/** The model's own way to encode texts of a role. */
export function encodeAs(
  model: EvaluatedEncoder,
  role: Role,
  texts: readonly string[],
  options: EvaluatedEncodeOptions,
): Promise<Embeddings> {
  if (role === 'query' && model.encodeQuery) return model.encodeQuery(texts, options);
  if (role === 'document' && model.encodeDocument) return model.encodeDocument(texts, options);
  return model.encode(texts, options);
}

/** Checks that a model gave `rows` embeddings. */
export function checkEmbeddings(value: Embeddings, rows: number): Matrix {
  const { data, cols } = (value ?? {}) as Partial<Embeddings>;
  if (!(data instanceof Float32Array) || value.rows !== rows || data.length !== rows * cols!)
    throw new FlatrankError('ERR_MODEL', `Expected ${rows} embeddings from the model but received ${describe(value)}`);
  return value instanceof Matrix ? value : new Matrix(data, rows, cols!);
}

/**
 * One score for each pair.
 * @throws FlatrankError `ERR_MODEL` where the model gives another number of them
 */
export async function predict(
  model: EvaluatedCrossEncoder,
  pairs: readonly (readonly [string, string])[],
  progress: Progress,
  options: Parameters<EvaluatedCrossEncoder['predict']>[1] = {},
): Promise<ArrayLike<number>> {
  const scores = await progress.part(pairs.length, pairs.length, (call) =>
    model.predict(pairs, { ...options, ...call }),
  );
  if (scores?.length === pairs.length) return scores;
  throw new FlatrankError(
    'ERR_MODEL',
    `Expected one score for each of ${pairs.length} pairs but received ${describe(scores)}`,
  );
}

/** Checks that `value` has what a bi-encoder must have. */
export function checkEncoder(value: EvaluatedEncoder): void {
  if (typeof value?.encode !== 'function') throw invalidArgument('model', 'a SentenceTransformer', value);
}

/** Checks that `value` has what a cross-encoder must have. */
export function checkCrossEncoder(value: EvaluatedCrossEncoder): void {
  if (typeof value?.predict !== 'function') throw invalidArgument('model', 'a CrossEncoder', value);
}
