/** What {@link fit} takes: options, their defaults, their checks. */
import type { InputExample } from '../data/index.js';
import { checkInteger, checkOneOf, checkSignal, checkString, FlatrankError, invalidArgument } from '../errors.js';
import type { Evaluates, Metrics } from '../evaluate/index.js';
import { CrossEncoder, type SentenceTransformer } from '../model/index.js';
import { checkCallback } from '../runtime/progress.js';
import type { EmbeddingExample } from './examples.js';
import {
  BinaryCrossEntropyLoss,
  CrossEntropyLoss,
  isSentenceLoss,
  needsLabel,
  textsOf,
  type CrossEncoderLoss,
  type Loss,
  type MSELoss,
  type SentenceLoss,
} from './losses.js';
import { schedules, type Schedule } from './schedule.js';

/** Models that can be trained. */
export type Trainable = SentenceTransformer | CrossEncoder;

/** Examples and the loss that is to fall on them. */
export type Objective<M extends Trainable = Trainable> =
  | {
      readonly examples: readonly InputExample[];
      /**
       * A cross-encoder has {@link BinaryCrossEntropyLoss} for one label and {@link CrossEntropyLoss} for more unless given; a
       * sentence model needs one.
       */
      readonly loss?: (M extends CrossEncoder ? CrossEncoderLoss : SentenceLoss) | undefined;
    }
  | (M extends CrossEncoder ? never : { readonly examples: readonly EmbeddingExample[]; readonly loss: MSELoss });

/** How far training is. */
export interface FitProgress {
  /** From 0. */
  readonly epoch: number;
  /** Steps of the optimizer done, and all there will be. */
  readonly step: number;
  readonly totalSteps: number;
  /** Of the last step. */
  readonly loss: number;
  readonly learningRate: number;
  readonly gradNorm: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
}

/** What an evaluator said in the course of training. */
export interface FitEvaluation {
  readonly epoch: number;
  readonly step: number;
  /** The metric that models are compared by. */
  readonly score: number;
  readonly metrics: Metrics;
}

/** What {@link fit} takes. Defaults are those of sentence-transformers' `fit`, where it has them. */
export interface FitOptions<M extends Trainable = Trainable> {
  /** One or more; several take turns, batch by batch, until one has ended. */
  readonly objectives: readonly Objective<M>[];
  readonly evaluator?: Evaluates<M> | undefined;
  /** 1 unless given. */
  readonly epochs?: number | undefined;
  /** Examples a batch; 16 unless given. */
  readonly batchSize?: number | undefined;
  /** Steps after which training ends, though epochs are left. */
  readonly maxSteps?: number | undefined;
  /** Steps between two evaluations; 0, at the end of each epoch only, unless given. */
  readonly evaluationSteps?: number | undefined;
  /** Over which the learning rate rises; 10,000 unless given. */
  readonly warmupSteps?: number | undefined;
  /** 'linear' unless given. */
  readonly schedule?: Schedule | undefined;
  /** 2e-5 unless given. */
  readonly learningRate?: number | undefined;
  /** Other learning rates, by the start of parameters' names: `{ classifier: 5e-4 }` for a head that is new. */
  readonly learningRates?: Readonly<Record<string, number>> | undefined;
  /** 0.01 unless given; biases and normalisations do not decay. */
  readonly weightDecay?: number | undefined;
  /** AdamW's constants: 0.9, 0.999, 1e-8 unless given. */
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  readonly epsilon?: number | undefined;
  /** Gradients of a larger norm are scaled down to it; 1 unless given, Infinity leaves them. */
  readonly maxGradNorm?: number | undefined;
  /** Batches whose gradients make one step; 1 unless given. */
  readonly gradientAccumulationSteps?: number | undefined;
  /** Parameters that stay as they are: a name, the start of names, or a pattern. */
  readonly freeze?: readonly (string | RegExp)[] | undefined;
  /** Whether values are dropped as the model's configuration says; true unless given. */
  readonly dropout?: boolean | undefined;
  /** Whether examples are shuffled anew each epoch; true unless given. */
  readonly shuffle?: boolean | undefined;
  /** Of the order of examples and of dropout; 42 unless given. */
  readonly seed?: number | undefined;
  /** Directory for the model: the best one by the evaluator, or the last one where there is none. */
  readonly outputPath?: string | undefined;
  /** Whether the best model is saved, not the last; true unless given. */
  readonly saveBestModel?: boolean | undefined;
  /** Whether the model has the best weights in the end, not the last; false unless given. */
  readonly loadBestModel?: boolean | undefined;
  /** Ends training when so many evaluations in a row bring no gain of more than `threshold` (0 unless given). */
  readonly earlyStopping?: { readonly patience: number; readonly threshold?: number } | undefined;
  /** Directory for checkpoints, each with everything that is needed to go on. */
  readonly checkpointPath?: string | undefined;
  /** Steps between two checkpoints; 500 unless given. */
  readonly checkpointSaveSteps?: number | undefined;
  /** Checkpoints that are kept; 2 unless given, 0 for all. */
  readonly checkpointSaveTotalLimit?: number | undefined;
  /** Goes on from the last checkpoint of `checkpointPath`, if there is one, or from the one in the directory named. */
  readonly resume?: boolean | string | undefined;
  /** File that gets a JSON line for every step and evaluation. */
  readonly logPath?: string | undefined;
  readonly onProgress?: ((progress: FitProgress) => void) | undefined;
  /** Called after each evaluation: the `callback` of sentence-transformers. */
  readonly onEvaluation?: ((evaluation: FitEvaluation) => void) | undefined;
  /** Aborting ends training after the step that runs, leaves a checkpoint, and rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/** What training did. */
export interface FitReport {
  readonly epochs: number;
  /** Steps of the optimizer, those before `resume` included. */
  readonly steps: number;
  readonly seconds: number;
  /** Real tokens, padding not counted. */
  readonly tokens: number;
  /** One a step of this call. */
  readonly losses: readonly number[];
  readonly evaluations: readonly FitEvaluation[];
  readonly bestScore: number | undefined;
  readonly bestStep: number | undefined;
  readonly stoppedEarly: boolean;
}

/** Options as plain values, as they go to the training thread. */
export interface TrainingPlan {
  readonly losses: readonly Loss[];
  readonly epochs: number;
  readonly batchSize: number;
  readonly maxSteps: number;
  readonly evaluate: boolean;
  readonly greaterIsBetter: boolean;
  readonly evaluationSteps: number;
  readonly warmupSteps: number;
  readonly schedule: Schedule;
  readonly learningRate: number;
  readonly learningRates: Readonly<Record<string, number>>;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly maxGradNorm: number;
  readonly gradientAccumulationSteps: number;
  readonly freeze: readonly (string | RegExp)[];
  readonly dropout: boolean;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly patience: number;
  readonly threshold: number;
  readonly checkpointPath: string | undefined;
  readonly checkpointSaveSteps: number;
  readonly checkpointSaveTotalLimit: number;
  readonly resume: boolean | string;
  readonly logPath: string | undefined;
}

function number(name: string, value: unknown, fallback: number, least: number, most = Infinity): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= least && value <= most) return value;
  const range = most === Infinity ? `a number of at least ${least}` : `a number from ${least} to ${most}`;
  throw invalidArgument(name, range, value);
}

const integer = (name: string, value: unknown, fallback: number, least = 0): number =>
  value === undefined ? fallback : checkInteger(name, value, least);

function flag(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw invalidArgument(name, 'true or false', value);
}

const path = (name: string, value: unknown): string | undefined =>
  value === undefined ? undefined : checkString(name, value);

/**
 * Checks everything, before anything is begun.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` that names the option
 */
export function planOf<M extends Trainable>(model: M, o: FitOptions<M>): TrainingPlan {
  if (typeof o !== 'object' || o === null) throw invalidArgument('options', 'an object with `objectives`', o);
  checkSignal(o.signal);
  checkCallback('onProgress', o.onProgress);
  checkCallback('onEvaluation', o.onEvaluation);
  const objectives = (o as FitOptions).objectives;
  if (!Array.isArray(objectives) || objectives.length === 0)
    throw invalidArgument('objectives', 'an array of { examples, loss }', objectives);
  const losses = objectives.map((objective, i) => checkObjective(model, objective as Objective, `objectives[${i}]`));
  if (o.evaluator !== undefined && typeof (o.evaluator as { evaluate?: unknown }).evaluate !== 'function')
    throw invalidArgument('evaluator', 'an object with a method `evaluate`', o.evaluator);
  const checkpointPath = path('checkpointPath', o.checkpointPath);
  const resume = o.resume ?? false;
  if (typeof resume !== 'boolean' && typeof resume !== 'string')
    throw invalidArgument('resume', 'true, false or the directory of a checkpoint', resume);
  if (resume === true && checkpointPath === undefined)
    throw invalidArgument('checkpointPath', 'a directory, to resume from', undefined);
  if (o.earlyStopping && !o.evaluator) throw invalidArgument('evaluator', 'given, for early stopping', undefined);
  path('outputPath', o.outputPath);
  return {
    losses,
    epochs: integer('epochs', o.epochs, 1, 1),
    batchSize: integer('batchSize', o.batchSize, 16, 1),
    maxSteps: integer('maxSteps', o.maxSteps, Infinity, 1),
    evaluate: o.evaluator !== undefined,
    greaterIsBetter: (o.evaluator as Evaluates<never> | undefined)?.greaterIsBetter ?? true,
    evaluationSteps: integer('evaluationSteps', o.evaluationSteps, 0),
    warmupSteps: integer('warmupSteps', o.warmupSteps, 10_000),
    schedule: checkOneOf('schedule', o.schedule ?? 'linear', schedules),
    learningRate: number('learningRate', o.learningRate, 2e-5, 0),
    learningRates: checkRates(o.learningRates ?? {}),
    weightDecay: number('weightDecay', o.weightDecay, 0.01, 0),
    beta1: number('beta1', o.beta1, 0.9, 0, 1 - 1e-9),
    beta2: number('beta2', o.beta2, 0.999, 0, 1 - 1e-9),
    epsilon: number('epsilon', o.epsilon, 1e-8, 0),
    maxGradNorm: number('maxGradNorm', o.maxGradNorm, 1, Number.MIN_VALUE),
    gradientAccumulationSteps: integer('gradientAccumulationSteps', o.gradientAccumulationSteps, 1, 1),
    freeze: checkFreeze(o.freeze ?? []),
    dropout: flag('dropout', o.dropout, true),
    shuffle: flag('shuffle', o.shuffle, true),
    seed: integer('seed', o.seed, 42),
    patience: o.earlyStopping ? checkInteger('earlyStopping.patience', o.earlyStopping.patience) : Infinity,
    threshold: number('earlyStopping.threshold', o.earlyStopping?.threshold, 0, 0),
    checkpointPath,
    checkpointSaveSteps: integer('checkpointSaveSteps', o.checkpointSaveSteps, 500, 1),
    checkpointSaveTotalLimit: integer('checkpointSaveTotalLimit', o.checkpointSaveTotalLimit, 2),
    resume,
    logPath: path('logPath', o.logPath),
  };
}

function checkRates(rates: unknown): Readonly<Record<string, number>> {
  if (typeof rates !== 'object' || rates === null) throw invalidArgument('learningRates', 'an object', rates);
  for (const [name, rate] of Object.entries(rates)) number(`learningRates.${name}`, rate, 0, 0);
  return { ...(rates as Record<string, number>) };
}

function checkFreeze(freeze: unknown): readonly (string | RegExp)[] {
  const ok = Array.isArray(freeze) && freeze.every((f) => typeof f === 'string' || f instanceof RegExp);
  if (ok) return freeze;
  throw invalidArgument('freeze', 'an array of names and regular expressions', freeze);
}

function checkObjective(model: Trainable, objective: Objective, name: string): Loss {
  if (typeof objective !== 'object' || objective === null) throw invalidArgument(name, '{ examples, loss }', objective);
  const { examples } = objective;
  if (!Array.isArray(examples) || examples.length === 0)
    throw invalidArgument(`${name}.examples`, 'an array of at least one example', examples);
  const loss = lossOf(model, objective.loss, name);
  checkDimensions(model, loss, name);
  for (const [i, example] of (examples as readonly Example[]).entries())
    checkExample(example, loss, `${name}.examples[${i}]`, (examples as readonly Example[])[0]!, model);
  return loss;
}

function lossOf(model: Trainable, given: unknown, name: string): Loss {
  const cross = model instanceof CrossEncoder;
  if (given === undefined && cross)
    return model.numLabels === 1 ? new BinaryCrossEntropyLoss() : new CrossEntropyLoss();
  const loss = given as Loss | undefined;
  if (typeof loss?.type !== 'string' || isSentenceLoss(loss) === cross)
    throw invalidArgument(`${name}.loss`, `a loss of a ${cross ? 'CrossEncoder' : 'SentenceTransformer'}`, given);
  if (loss.type === 'BinaryCrossEntropyLoss' && cross && model.numLabels !== 1)
    throw invalidArgument(`${name}.loss`, `CrossEntropyLoss, for a model of ${model.numLabels} labels`, given);
  if (loss.type === 'CrossEntropyLoss' && cross && model.numLabels === 1)
    throw invalidArgument(`${name}.loss`, 'BinaryCrossEntropyLoss, for a model of one label', given);
  return loss;
}

function checkDimensions(model: Trainable, loss: Loss, name: string): void {
  if (loss.type !== 'MatryoshkaLoss' || model instanceof CrossEncoder) return;
  const most = Math.max(...loss.dimensions);
  if (most > model.dimension)
    throw invalidArgument(`${name}.loss.dimensions`, `at most the model's ${model.dimension}`, most);
}

type Example = InputExample | EmbeddingExample;

function checkExample(example: Example, loss: Loss, name: string, first: Example, model: Trainable): void {
  const { texts, label } = (example ?? {}) as Partial<Example>;
  const [least, most] = textsOf(loss);
  const count = Array.isArray(texts) && texts.every((text) => typeof text === 'string') ? texts.length : -1;
  if (count < least || count > most || count !== first.texts.length) {
    const expected = count >= least && count <= most ? first.texts.length : least;
    throw invalidArgument(
      `${name}.texts`,
      `an array of ${expected}${most > least && expected === least ? ' or more' : ''} strings`,
      texts,
    );
  }
  if (!needsLabel(loss)) return;
  if (loss.type === 'MSELoss') {
    checkEmbedding(`${name}.label`, label, (model as SentenceTransformer).dimension);
    return;
  }
  if (typeof label !== 'number' || !Number.isFinite(label)) throw invalidArgument(`${name}.label`, 'a number', label);
  if (loss.type !== 'CrossEntropyLoss') return;
  const classes = (model as CrossEncoder).numLabels;
  if (!Number.isInteger(label) || label < 0 || label >= classes)
    throw new FlatrankError(
      'ERR_INVALID_ARGUMENT',
      `Expected \`${name}.label\` to be a class from 0 to ${classes - 1} but received ${label}`,
    );
}

function checkEmbedding(name: string, label: unknown, dimension: number): void {
  const values: readonly unknown[] = label instanceof Float32Array || Array.isArray(label) ? (label as unknown[]) : [];
  if (values.length !== dimension)
    throw invalidArgument(name, `an embedding of the model's ${dimension} values`, label);
  for (let i = 0; i < dimension; i++)
    if (!Number.isFinite(values[i])) throw invalidArgument(`${name}[${i}]`, 'a finite number', values[i]);
}
