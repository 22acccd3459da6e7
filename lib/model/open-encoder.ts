/** From a model directory, or a configuration and a seed, to a backend that runs. */
import { join } from 'node:path';
import {
  Checkpoint,
  encoderOf,
  initialParameters,
  labelCount,
  type Encoder,
  type ParameterSource,
} from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import { Weights } from '../formats/safetensors-weights.js';
import type { PoolingMode } from '../native.js';
import type { Backend, BackendOutputKind, Precision, Processor } from '../runtime/backend.js';
import { EncoderBackend } from '../runtime/encoder-backend.js';
import { OnnxBackend } from '../runtime/onnx-backend.js';
import type { EncoderConfig } from './configs.js';
import type { ModelDirectory } from './directory.js';

/** Where a model's weights come from. */
export type WeightsFrom =
  | { readonly type: 'directory' }
  | { readonly type: 'random'; readonly config: EncoderConfig; readonly seed: number; readonly labels?: number }
  /** The directory's body with a head of random weights. */
  | { readonly type: 'new-head'; readonly seed: number; readonly labels: number };

/** A model's weights, as far as they can be saved. */
export type SavedWeights =
  | { readonly type: 'onnx'; readonly file: string }
  | {
      readonly type: 'checkpoint';
      readonly encoder: Encoder;
      readonly checkpoint: Checkpoint;
      /** Classes of the head; undefined where the model has none. */
      readonly labels: number | undefined;
    };

/** What {@link openEncoder} takes. */
export interface OpenOptions {
  readonly output: Exclude<BackendOutputKind, 'pooled'>;
  /** Modes by which a graph of our own pools its token vectors itself. */
  readonly pooling: readonly PoolingMode[] | undefined;
  readonly processor: Processor;
  readonly precision: Precision;
  readonly threads: number;
  /** The id that fills batches up, for graphs that want them padded. */
  readonly padId: number;
  readonly from: WeightsFrom;
}

/**
 * The model of `directory`, ready to run, and its weights.
 * @throws FlatrankError as `EncoderBackend.load` and `OnnxBackend.load`
 */
export async function openEncoder(
  { transformer, weights, config }: ModelDirectory,
  { output, pooling, processor, precision, threads, padId, from }: OpenOptions,
): Promise<{ backend: Backend; saved: SavedWeights }> {
  if (weights.type === 'onnx' && from.type === 'directory') {
    if (precision !== 'float32')
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        `Expected a checkpoint (model.safetensors) to load in ${precision} in ${transformer} but there is only ${weights.file}`,
      );
    return {
      backend: await OnnxBackend.load(weights.file, { output, processor, threads, padId }),
      saved: { type: 'onnx', file: weights.file },
    };
  }
  const encoder = encoderOf(config, from.type === 'random' ? '`config`' : join(transformer, 'config.json'));
  const source = await parametersOf(encoder, transformer, weights.type, from);
  const checkpoint = new Checkpoint(source, encoder.family);
  const labels = output === 'logits' ? labelCount(encoder, checkpoint) : undefined;
  const backend = await EncoderBackend.load(encoder, checkpoint, { labels, pooling, processor, precision, threads });
  return { backend, saved: { type: 'checkpoint', encoder, checkpoint, labels } };
}

async function parametersOf(
  encoder: Encoder,
  directory: string,
  kind: ModelDirectory['weights']['type'],
  from: WeightsFrom,
): Promise<ParameterSource> {
  if (from.type === 'random') return initialParameters(encoder, { labels: from.labels, seed: from.seed, directory });
  if (kind !== 'checkpoint')
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected a checkpoint (model.safetensors) to put a new head on in ${directory} but there is none`,
    );
  const weights = await Weights.open(directory);
  await weights.hold(); // it may be saved when another model, or this one, has been saved here
  if (from.type === 'directory') return weights;
  const body = new Checkpoint(weights, encoder.family);
  return initialParameters(encoder, { labels: from.labels, seed: from.seed, directory, body });
}
