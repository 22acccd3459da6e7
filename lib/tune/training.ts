/** Training as a stage: from checkpoints, and with a log that the report draws. */
import { rm } from 'node:fs/promises';
import type { InputExample } from '../data/index.js';
import type { CrossEncoder, SentenceTransformer } from '../model/index.js';
import { fit, type FitOptions, type Loss, type Trainable } from '../train/index.js';
import { readLog } from '../train/log.js';
import type { TrainingPlan } from './options.js';
import type { Stages } from './stages.js';
import type { TuneTrained } from './types.js';

/** Steps whose losses the report's figure is the mean of. */
const lastSteps = 100;

/** Steps that a training takes. */
export function stepsOf(examples: number, { batchSize, epochs, maxSteps }: TrainingPlan): number {
  return Math.min(Math.ceil(examples / batchSize) * epochs, maxSteps ?? Infinity);
}

/** What `fit` takes for a plan. */
export function fitOptions(
  examples: readonly InputExample[],
  loss: Loss,
  plan: TrainingPlan,
  seed: number,
): FitOptions<SentenceTransformer> & FitOptions<CrossEncoder> {
  const { epochs, batchSize, learningRate, learningRates } = plan;
  return {
    objectives: [{ examples, loss: loss as never }],
    ...{ epochs, batchSize, learningRate, learningRates, seed },
    maxSteps: plan.maxSteps ?? undefined,
    warmupSteps: plan.warmupSteps ?? Math.ceil(stepsOf(examples.length, plan) / 10),
  };
}

/** Trains a model into the run's directory, under the stage's name. */
export async function train<M extends Trainable>(
  stages: Stages,
  name: 'sts' | 'bi-encoder' | 'cross-encoder',
  model: M,
  options: FitOptions<M>,
): Promise<Omit<TuneTrained, 'seconds'>> {
  const checkpoints = stages.path('checkpoints', name);
  const log = logPath(stages, name);
  const report = await fit(model, {
    ...options,
    outputPath: stages.path(name),
    checkpointPath: checkpoints,
    checkpointSaveTotalLimit: 1,
    logPath: log,
    resume: true,
  });
  const losses = (await readLog(log)).flatMap(({ loss }) => loss ?? []).slice(-lastSteps);
  const { objectives } = options;
  return {
    examples: objectives[0]!.examples.length,
    ...{ steps: report.steps, tokens: report.tokens },
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
  };
}

/** Checkpoints are of use until the stage's result is there. */
export async function removeCheckpoints(stages: Stages, name: string): Promise<void> {
  await rm(stages.path('checkpoints', name), { recursive: true, force: true });
}

/** Where a training's log is. */
export function logPath(stages: Stages, name: string): string {
  return stages.path(`${name}-log.jsonl`);
}
