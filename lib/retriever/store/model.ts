import { describe, FlatrankError } from '../../errors.js';
import { type LoadOptions, SentenceTransformer } from '../../model/index.js';
import type { RetrieverEncoder } from '../types.js';
import type { Manifest, StoredModel } from './manifest.js';

/** What a store keeps of the model that made it. */
export async function describeModel(encoder: RetrieverEncoder): Promise<StoredModel> {
  const fingerprint = (await encoder.fingerprint?.()) ?? null;
  return { fingerprint, source: encoder.source ? { ...encoder.source } : null };
}

/**
 * The model that a store says it was made with.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where it does not say, else as `SentenceTransformer.load`
 */
export async function loadModel(
  directory: string,
  { source }: StoredModel,
  loading: Pick<LoadOptions, 'onProgress' | 'signal'>,
): Promise<SentenceTransformer> {
  if (!source)
    throw new FlatrankError(
      'ERR_INVALID_ARGUMENT',
      `Expected an \`encoder\`, as ${directory} does not say where its model was loaded from`,
    );
  const { model, ...options } = source;
  return SentenceTransformer.load(model, { ...options, ...loading });
}

/** @throws FlatrankError `ERR_MODEL_MISMATCH` with both fingerprints, where the encoder is not what made the store */
export async function checkModel(
  directory: string,
  { dimension, model }: Pick<Manifest, 'dimension' | 'model'>,
  encoder: RetrieverEncoder,
): Promise<void> {
  const { fingerprint } = await describeModel(encoder);
  if (fingerprint !== model.fingerprint)
    throw new FlatrankError(
      'ERR_MODEL_MISMATCH',
      `Expected the model of ${directory}${model.source ? ` (${model.source.model})` : ''} with the fingerprint ` +
        `${model.fingerprint ?? 'none'} but received one with ${fingerprint ?? 'none'}`,
    );
  if (encoder.dimension !== dimension)
    throw new FlatrankError(
      'ERR_MODEL_MISMATCH',
      `Expected a model of ${dimension} dimensions, as ${directory} has, but received ${describe(encoder.dimension)}`,
    );
}
