/** The models of the road, opened where they are needed. */
import { readFile } from 'node:fs/promises';
import { FlatrankError } from '../errors.js';
import { CrossEncoder, SentenceTransformer, type EncoderConfig, type FromEncoderOptions } from '../model/index.js';
import type { ModelStart, RandomStart } from './types.js';

/** Runs `use` with a model, which goes then. */
export async function using<M extends AsyncDisposable, T>(
  opened: Promise<M>,
  use: (model: M) => Promise<T>,
): Promise<T> {
  await using model = await opened;
  return await use(model);
}

/** The bi-encoder that the road starts from. */
export async function openEncoder(
  start: ModelStart,
  maxSeqLength: number | null,
  signal: AbortSignal | undefined,
): Promise<SentenceTransformer> {
  const options = { signal, maxSeqLength: maxSeqLength ?? undefined };
  if (typeof start === 'string') return SentenceTransformer.load(start, options);
  return SentenceTransformer.initialize(await configOf(start), start.tokenizer, { ...options, seed: start.seed });
}

/** A cross-encoder: with its own head where it has one of one label, else with a new one; or of random weights altogether. */
export async function openCrossEncoder(
  start: ModelStart,
  maxLength: number | null,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<CrossEncoder> {
  const options = { signal, maxLength: maxLength ?? undefined, numLabels: 1 };
  if (typeof start === 'string') return withHead(start, { ...options, seed });
  return CrossEncoder.initialize(await configOf(start), start.tokenizer, { ...options, seed: start.seed });
}

async function withHead(start: string, options: FromEncoderOptions): Promise<CrossEncoder> {
  try {
    const model = await CrossEncoder.load(start, options);
    if (model.numLabels === 1) return model;
    await model.dispose();
  } catch (error) {
    if (!(error instanceof FlatrankError) || error.code !== 'ERR_UNSUPPORTED') throw error;
  }
  return CrossEncoder.fromEncoder(start, options);
}

async function configOf({ config }: RandomStart): Promise<EncoderConfig> {
  if (typeof config !== 'string') return config;
  let text: string;
  try {
    text = await readFile(config, 'utf8');
  } catch (error) {
    throw new FlatrankError('ERR_NOT_FOUND', `Expected a configuration but ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text) as EncoderConfig;
  } catch (error) {
    throw new FlatrankError('ERR_BAD_FILE', `Expected ${config} to hold JSON but: ${(error as Error).message}`);
  }
}
