import type { TokenCounter } from '../data/index.js';
import { FlatrankError } from '../errors.js';
import type { RetrieverEncoder } from './types.js';

/**
 * Counts a document's tokens as `encodeDocument` reads it: with the model's prompt for documents before it.
 * @throws FlatrankError `ERR_UNSUPPORTED` for an encoder that cannot count
 */
export function documentCounter(encoder: RetrieverEncoder, signal?: AbortSignal): TokenCounter {
  const { prompts = {}, maxSeqLength } = encoder;
  if (maxSeqLength === undefined || typeof encoder.countTokens !== 'function')
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      'Expected an encoder with `maxSeqLength` and `countTokens`, as documents are to be split to fit it',
    );
  const name = ['document', 'passage', 'corpus'].find((key) => Object.hasOwn(prompts, key));
  const prompt = name === undefined ? '' : prompts[name]!;
  const withPrompt = (texts: readonly string[]): readonly string[] =>
    prompt === '' ? texts : texts.map((text) => prompt + text);
  return { maxSeqLength, countTokens: (texts) => encoder.countTokens!(withPrompt(texts), signal ? { signal } : {}) };
}
