/** Options of the road: their defaults and their checks. */
import { checkInteger, checkOneOf, checkSignal, checkString, invalidArgument } from '../errors.js';
import { boxModel } from '../model/resolve.js';
import type { RetrieverMetric } from '../retriever/index.js';
import { checkCallback } from '../runtime/progress.js';
import { tuneDatasets, type ModelStart, type TuneOptions, type TuneTraining } from './types.js';

/** A training with its defaults. */
export interface TrainingPlan {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly learningRates: Readonly<Record<string, number>>;
  readonly warmupSteps: number | null;
  readonly maxSteps: number | null;
}

/** Everything that decides what happens, but the data: plain JSON. */
export interface TunePlan {
  readonly model: ModelStart;
  readonly testSize: number;
  readonly validationSize: number | null;
  readonly splitBy: 'question' | 'context';
  readonly seed: number;
  readonly searched: 'all' | 'test';
  readonly metric: RetrieverMetric | null;
  readonly maxSeqLength: number | null;
  readonly biEncoder: TrainingPlan & { readonly scale: number };
  readonly crossEncoder: TrainingPlan & {
    readonly body: ModelStart | null;
    readonly maxLength: number | null;
    readonly hardNegatives: number;
  };
  readonly sts: TrainingPlan | null;
  readonly biK: number;
  readonly crossK: number;
  readonly rerankQuestions: number | null;
  readonly pairQuestions: number;
}

/**
 * Checks everything that can be checked before the data is read.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` that names the option
 */
export function planOf(o: TuneOptions): TunePlan {
  if (typeof o !== 'object' || o === null) throw invalidArgument('options', 'an object with data and out', o);
  checkSignal(o.signal);
  checkCallback('onProgress', o.onProgress);
  checkOneOf('dataset', o.dataset ?? 'pairs', tuneDatasets);
  if (checkString('out', o.out) === '') throw invalidArgument('out', 'a directory', o.out);
  const seed = checkInteger('seed', o.seed ?? 42, 0);
  const crossK = checkInteger('crossK', o.crossK ?? 10);
  const { scale } = o.biEncoder ?? {};
  const model = checkStart('model', o.model ?? boxModel, seed);
  const { body = model === boxModel ? boxModel : undefined, maxLength, hardNegatives } = o.crossEncoder ?? {};
  return {
    model,
    testSize: positive('testSize', o.testSize ?? 0.2),
    validationSize: o.validationSize === undefined ? null : positive('validationSize', o.validationSize),
    splitBy: checkOneOf('splitBy', o.splitBy ?? 'question', ['question', 'context']),
    seed,
    searched: checkOneOf('searched', o.searched ?? 'all', ['all', 'test']),
    metric: o.metric === undefined ? null : checkOneOf<RetrieverMetric>('metric', o.metric, ['cosine', 'dot', 'l2']),
    maxSeqLength: optionalCount('maxSeqLength', o.maxSeqLength),
    biEncoder: {
      ...trainingPlan('biEncoder', o.biEncoder, 1),
      scale: scale === undefined ? 20 : positive('biEncoder.scale', scale),
    },
    crossEncoder: {
      ...trainingPlan('crossEncoder', o.crossEncoder, 1),
      body: body === undefined ? null : checkStart('crossEncoder.body', body, seed),
      maxLength: optionalCount('crossEncoder.maxLength', maxLength),
      hardNegatives: checkInteger('crossEncoder.hardNegatives', hardNegatives ?? 0, 0),
    },
    sts: o.sts === undefined ? null : trainingPlan('sts', o.sts, 4),
    biK: checkInteger('biK', o.biK ?? Math.max(30, crossK), crossK),
    crossK,
    rerankQuestions: optionalCount('rerankQuestions', o.rerankQuestions),
    pairQuestions: checkInteger('pairQuestions', o.pairQuestions ?? 100),
  };
}

function trainingPlan(name: string, o: TuneTraining | undefined, epochs: number): TrainingPlan {
  if (o !== undefined && (typeof o !== 'object' || o === null)) throw invalidArgument(name, 'an object', o);
  const { warmupSteps } = o ?? {};
  return {
    epochs: checkInteger(`${name}.epochs`, o?.epochs ?? epochs),
    batchSize: checkInteger(`${name}.batchSize`, o?.batchSize ?? 16),
    learningRate: positive(`${name}.learningRate`, o?.learningRate ?? 2e-5),
    learningRates: { ...o?.learningRates },
    warmupSteps: warmupSteps === undefined ? null : checkInteger(`${name}.warmupSteps`, warmupSteps, 0),
    maxSteps: optionalCount(`${name}.maxSteps`, o?.maxSteps),
  };
}

function checkStart(name: string, start: unknown, seed: number): ModelStart {
  if (typeof start === 'string' && start !== '') return start;
  if (typeof start !== 'object' || start === null)
    throw invalidArgument(name, 'a directory, a Hub id or { config, tokenizer }', start);
  const { config, tokenizer, seed: own } = start as Record<string, unknown>;
  if (typeof config !== 'string' && (typeof config !== 'object' || config === null))
    throw invalidArgument(`${name}.config`, 'a configuration or the path of one', config);
  return {
    config: config as string,
    tokenizer: checkString(`${name}.tokenizer`, tokenizer),
    seed: checkInteger(`${name}.seed`, own ?? seed, 0),
  };
}

function optionalCount(name: string, value: number | undefined): number | null {
  return value === undefined ? null : checkInteger(name, value);
}

function positive(name: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw invalidArgument(name, 'a number above 0', value);
}
