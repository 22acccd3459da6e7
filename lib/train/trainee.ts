/** What is trained: the model of a directory, opened for training. */
import { Checkpoint, encoderOf, type Encoder } from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import { Weights, weightsName } from '../formats/safetensors-weights.js';
import { writeSafetensors, type TensorData } from '../formats/safetensors-write.js';
import { join } from 'node:path';
import { positionLimit, readModelDirectory, sentenceModules } from '../model/directory.js';
import { TextTokenizer } from '../model/tokenizer.js';
import type { PoolingMode } from '../native.js';
import type { TrainedParameter } from './optimizer.js';
import type { TextTokens } from './token-stream.js';
import { trainingGraph, type Head } from './training-graph.js';

/** What {@link Trainee.open} takes besides the directory. */
export interface TraineeOptions {
  readonly kind: 'sentence-transformer' | 'cross-encoder';
  readonly maxLength?: number | undefined;
  readonly pooling?: PoolingMode | undefined;
  /** Parameters that stay as they are: those whose name starts with one of these, or fits a pattern. */
  readonly freeze?: readonly (string | RegExp)[] | undefined;
}

export class Trainee {
  readonly encoder: Encoder;
  readonly head: Head;
  readonly tokenizer: TextTokenizer;
  /** The longest input in tokens. */
  readonly maxLength: number;
  /** Weights by their names in the body. */
  readonly weights: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  readonly trained: ReadonlyMap<string, TrainedParameter>;
  readonly #source: Weights;
  /** Names in the file. */
  readonly #names: ReadonlyMap<string, string>;

  private constructor(
    fields: Pick<Trainee, 'encoder' | 'head' | 'tokenizer' | 'maxLength' | 'weights' | 'trained'>,
    source: Weights,
    names: ReadonlyMap<string, string>,
  ) {
    ({
      encoder: this.encoder,
      head: this.head,
      tokenizer: this.tokenizer,
      maxLength: this.maxLength,
      weights: this.weights,
      trained: this.trained,
    } = fields);
    this.#source = source;
    this.#names = names;
  }

  /**
   * Opens the model in `directory`.
   * @throws FlatrankError `ERR_UNSUPPORTED` where it cannot be trained: no weights, an unknown family, a Dense module
   */
  static async open(directory: string, o: TraineeOptions): Promise<Trainee> {
    const model = await readModelDirectory(directory);
    if (model.weights.type !== 'checkpoint')
      throw new FlatrankError('ERR_UNSUPPORTED', `Expected ${directory} to hold model.safetensors, to be trained`);
    const { config, tokenizerConfig, lowercase } = model;
    const encoder = encoderOf(config, join(model.transformer, 'config.json'));
    const source = await Weights.open(model.transformer);
    const checkpoint = new Checkpoint(source, encoder.family);
    const head =
      o.kind === 'cross-encoder' ? scoreHead(encoder, checkpoint, directory) : embeddingHead(directory, model, o);
    const tokenizer = await TextTokenizer.load(model.transformer, { config, tokenizerConfig, lowercase });

    const { parameters } = trainingGraph({
      encoder,
      head,
      goal: { type: 'embed' },
      groups: 1,
      dropout: false,
      frozen: () => true,
    });
    const weights = new Map<string, Float32Array<ArrayBuffer>>();
    const trained = new Map<string, TrainedParameter>();
    const names = new Map<string, string>();
    const frozen = frozenBy(o.freeze ?? []);
    for (const [name, shape] of parameters) {
      const data = (await checkpoint.get(name, shape).float32()) as Float32Array<ArrayBuffer>;
      const fileName = checkpoint.nameOf(name)!;
      weights.set(name, data);
      names.set(name, fileName);
      if (frozen(name) || frozen(fileName)) continue;
      const [gradient, firstMoment, secondMoment] = [1, 2, 3].map(() => new Float32Array(data.length)) as [
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
      ];
      trained.set(name, { name, shape, data, gradient, firstMoment, secondMoment });
    }
    if (trained.size === 0)
      throw new FlatrankError(
        'ERR_INVALID_ARGUMENT',
        'Expected `freeze` to leave a parameter to train but it names all',
      );
    const maxLength = Math.min(o.maxLength ?? model.maxSeqLength, positionLimit(config));
    return new Trainee({ encoder, head, tokenizer, maxLength, weights, trained }, source, names);
  }

  /** The tokens of an example: one list a text, or for a cross-encoder one for the pair. */
  tokenize(texts: readonly string[]): TextTokens[] {
    if (this.head.type === 'scores') return [this.tokenizer.pair(texts[0]!, texts[1]!, this.maxLength)];
    return texts.map((text) => this.tokenizer.single(text, this.maxLength));
  }

  /** Writes the weights as `model.safetensors` to `directory`: as they were there, the trained ones as they are now. */
  async saveWeights(directory: string): Promise<void> {
    const tensors = new Map<string, TensorData>();
    for (const name of this.#source.names) {
      const weight = this.#source.get(name);
      tensors.set(name, { dtype: weight.dtype, shape: weight.shape, data: await weight.read() });
    }
    for (const { name, shape, data } of this.trained.values())
      tensors.set(this.#names.get(name)!, {
        dtype: 'F32',
        shape,
        data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      });
    await writeSafetensors(join(directory, weightsName), tensors);
  }

  /**
   * Takes the weights that {@link saveWeights} wrote to `directory`.
   * @throws FlatrankError `ERR_BAD_FILE` where they are not those of this model
   */
  async loadWeights(directory: string): Promise<void> {
    const source = await Weights.open(directory);
    for (const [name, data] of this.weights) {
      const values = await source.get(this.#names.get(name)!).float32();
      if (values.length !== data.length)
        throw new FlatrankError('ERR_BAD_FILE', `Expected \`${name}\` in ${directory} to have ${data.length} values`);
      data.set(values);
    }
  }
}

function embeddingHead(
  root: string,
  model: Awaited<ReturnType<typeof readModelDirectory>>,
  { pooling }: TraineeOptions,
): Head {
  const { pooling: plan, steps } = pooling
    ? { pooling: { modes: [pooling] }, steps: model.modules?.pooling ? model.modules.steps : [] }
    : sentenceModules(root, model);
  if (steps.some(({ type }) => type === 'dense'))
    throw new FlatrankError('ERR_UNSUPPORTED', `Expected ${root} to have no Dense module, which cannot be trained yet`);
  return { type: 'embedding', pooling: plan.modes, normalize: steps.some(({ type }) => type === 'normalize') };
}

function scoreHead({ family }: Encoder, checkpoint: Checkpoint, directory: string): Head {
  const labels = checkpoint.find(`${family.classifier}.weight`)?.shape[0];
  if (labels) return { type: 'scores', labels };
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected a sequence classification model in ${directory} but its weights hold no \`${family.classifier}.weight\``,
  );
}

const frozenBy =
  (patterns: readonly (string | RegExp)[]) =>
  (name: string): boolean =>
    patterns.some((pattern) => (typeof pattern === 'string' ? name.startsWith(pattern) : pattern.test(name)));
