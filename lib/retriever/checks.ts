import { FlatrankError, checkInteger, checkObject, describe, invalidArgument } from '../errors.js';
import type { SplitTextOptions } from './passages.js';
import { origin, type Origin } from './segment.js';
import type { DocumentInput, RerankOptions, RetrieverCrossEncoder, RetrieverEncoder } from './types.js';

/**
 * `options` as an object whose keys are all in `known`. A key that is not there (a later version's, or a slip) is
 * refused rather than ignored: a filter that is not applied gives wrong answers in silence.
 * @throws FlatrankError `ERR_UNSUPPORTED` for an unknown option that is given, `ERR_INVALID_ARGUMENT` for no object
 */
export function checkOptions<T extends object>(options: T | undefined, known: readonly (keyof T & string)[]): T {
  if (options === undefined) return {} as T;
  checkObject('options', options);
  for (const [key, value] of Object.entries(options))
    if (value !== undefined && !known.includes(key as keyof T & string))
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        `Expected \`options\` to have only ${known.map((name) => `\`${name}\``).join(', ')} but received \`${key}\``,
      );
  return options;
}

/** Checks that `value` has what a bi-encoder must have. */
export function checkEncoder(value: RetrieverEncoder): RetrieverEncoder {
  const usable = hasMethod(value, 'encodeQuery') && hasMethod(value, 'encodeDocument');
  if (!usable) throw invalidArgument('encoder', 'a SentenceTransformer', value);
  checkInteger('encoder.dimension', value.dimension);
  return value;
}

/**
 * Checks that `value` is undefined or has what a cross-encoder must have.
 * @throws FlatrankError `ERR_UNSUPPORTED` for a model with another number of labels than one
 */
export function checkCrossEncoder(value: RetrieverCrossEncoder | undefined): RetrieverCrossEncoder | undefined {
  if (value === undefined) return undefined;
  if (!hasMethod(value, 'predict')) throw invalidArgument('crossEncoder', 'a CrossEncoder', value);
  if (value.numLabels !== undefined && value.numLabels !== 1)
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected \`crossEncoder\` to have one label but received a model with ${describe(value.numLabels)}`,
    );
  return value;
}

/** The documents of an `add` as what can be iterated; an array is copied, so that it may change during the call. */
export function checkDocuments<M>(
  value: Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>>,
): Iterable<DocumentInput<M>> | AsyncIterable<DocumentInput<M>> {
  if (Array.isArray(value)) return [...(value as DocumentInput<M>[])];
  const iterable = isObject(value) && (Symbol.asyncIterator in value || Symbol.iterator in value);
  if (!iterable) throw invalidArgument('documents', 'an iterable of documents', value);
  return value;
}

/** Checks one document of an `add`: number `i` of the call. */
export function checkDocument<M>(
  document: DocumentInput<M>,
  i: number,
): { id?: string; text: string; metadata?: M; [origin]?: Origin } {
  const name = `documents[${i}]`;
  if (typeof document === 'string') return { text: document };
  if (!isObject(document)) throw invalidArgument(name, 'a string or an object with `text`', document);
  const { id, text, metadata, [origin]: from } = document as typeof document & { [origin]?: Origin };
  if (typeof text !== 'string') throw invalidArgument(`${name}.text`, 'a string', text);
  if (id !== undefined && typeof id !== 'string') throw invalidArgument(`${name}.id`, 'a string', id);
  if (id === '') throw invalidArgument(`${name}.id`, 'a string that is not empty', id);
  if (metadata !== undefined && (typeof metadata !== 'object' || metadata === null))
    throw invalidArgument(`${name}.metadata`, 'an object', metadata);
  return {
    ...(id === undefined ? {} : { id }),
    text,
    ...(metadata === undefined ? {} : { metadata }),
    ...(from === undefined ? {} : { [origin]: from }),
  };
}

/** Checks that `value` is undefined or says how documents are split. */
export function checkSplit(value: SplitTextOptions | undefined): void {
  if (value === undefined) return;
  const split = checkOptions(value, ['maxTokens', 'overlap']);
  if (split.maxTokens !== undefined) checkInteger('split.maxTokens', split.maxTokens);
  if (split.overlap !== undefined) checkInteger('split.overlap', split.overlap, 0);
}

/** The ids to remove: one, or a list, copied. */
export function checkIds(ids: string | readonly string[]): string[] {
  if (typeof ids === 'string') return [ids];
  if (!Array.isArray(ids)) throw invalidArgument('ids', 'a string or an array of strings', ids);
  for (const [i, id] of (ids as unknown[]).entries())
    if (typeof id !== 'string') throw invalidArgument(`ids[${i}]`, 'a string', id);
  return [...(ids as readonly string[])];
}

/** The queries of a search, copied, and whether there was one or a list. */
export function checkQueries(query: string | readonly string[]): { queries: string[]; single: boolean } {
  if (typeof query === 'string') return { queries: [query], single: true };
  if (!Array.isArray(query)) throw invalidArgument('query', 'a string or an array of strings', query);
  const queries = [...(query as readonly string[])];
  for (const [i, text] of queries.entries())
    if (typeof text !== 'string') throw invalidArgument(`query[${i}]`, 'a string', text);
  return { queries, single: false };
}

/** Checks that `value` is a list of hits: what `rerank` reads of them. */
export function checkHits<H extends { text: string; retrievalScore: number }>(value: readonly H[]): readonly H[] {
  if (!Array.isArray(value)) throw invalidArgument('hits', 'an array of hits', value);
  const hits = [...(value as readonly H[])];
  for (const [i, hit] of hits.entries()) {
    if (!isObject(hit) || typeof hit.text !== 'string') throw invalidArgument(`hits[${i}]`, 'a hit with `text`', hit);
    if (typeof hit.retrievalScore !== 'number' || Number.isNaN(hit.retrievalScore))
      throw invalidArgument(`hits[${i}].retrievalScore`, 'a number', hit.retrievalScore);
  }
  return hits;
}

/** Checks that `blend` is undefined or a finite number; 0 unless given. */
export function checkBlend({ blend = 0 }: Pick<RerankOptions, 'blend'>): number {
  if (typeof blend !== 'number' || !Number.isFinite(blend)) throw invalidArgument('blend', 'a finite number', blend);
  return blend;
}

/** Checks that `value` is undefined or a function. */
export function checkCallback<F>(name: string, value: F | undefined): F | undefined {
  if (value !== undefined && typeof value !== 'function') throw invalidArgument(name, 'a function', value);
  return value;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function hasMethod(value: unknown, name: string): boolean {
  return isObject(value) && typeof (value as Record<string, unknown>)[name] === 'function';
}
