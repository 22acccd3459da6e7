import { z } from 'zod';
import { FlatrankError } from '../errors.js';
import { bert } from './bert.js';
import { distilbert } from './distilbert.js';
import { electra } from './electra.js';
import type { Architecture, Family } from './family.js';
import { mpnet } from './mpnet.js';
import { roberta } from './roberta.js';

const families: readonly Family[] = [bert, roberta, electra, distilbert, mpnet];

/** Values of `model_type` whose graphs are known here. */
export const knownModelTypes: readonly string[] = families.flatMap((family) => family.modelTypes);

/** Whether a model of this type can be built from its weights. */
export const isKnownModelType = (modelType: unknown): boolean => knownModelTypes.includes(modelType as string);

/** An encoder's family, and what its config.json says. */
export interface Encoder {
  readonly family: Family;
  readonly modelType: string;
  readonly architecture: Architecture;
}

/**
 * The encoder that a transformers configuration describes.
 * @param path what messages call the configuration
 * @throws FlatrankError `ERR_UNSUPPORTED` for a model type, or a value of another key, that is not known here; the message lists
 *   those that are
 */
export function encoderOf(config: Readonly<Record<string, unknown>>, path: string): Encoder {
  const { model_type: modelType } = config;
  const family = families.find(({ modelTypes }) => modelTypes.includes(modelType as string));
  if (!family)
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected the model_type of ${path} to be one of ${knownModelTypes.join(', ')} but received ` +
        (modelType === undefined ? 'none' : JSON.stringify(modelType)),
    );
  const parsed = family.schema.safeParse(config);
  if (!parsed.success)
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected ${path} to describe a ${modelType as string} encoder: ${z.prettifyError(parsed.error)}`,
    );
  const { hidden, heads } = parsed.data;
  if (hidden % heads !== 0)
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected the hidden size of ${path} to be a multiple of its ${heads} attention heads but received ${hidden}`,
    );
  return { family, modelType: modelType as string, architecture: parsed.data };
}
