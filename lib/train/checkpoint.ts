/** Checkpoints: directories with the model, the optimizer's moments and where training is, each whole or not there. */
import { randomUUID } from 'node:crypto';
import { cp, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FlatrankError } from '../errors.js';
import { SafetensorsFile } from '../formats/safetensors.js';
import { weightsIndexName, weightsName } from '../formats/safetensors-weights.js';
import { writeSafetensors, type TensorData } from '../formats/safetensors-write.js';
import type { TrainedParameter } from './optimizer.js';
import type { Trainee } from './trainee.js';

const stateName = 'trainer_state.json';
const optimizerName = 'optimizer.safetensors';
const namePattern = /^checkpoint-(\d+)$/;
const temporaryPattern = /^\.checkpoint-\d+\..*\.tmp$/;

/** JSON has no words for the numbers that are none, which a metric may be: they are written as strings. */
const metric = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);
const withAllNumbers = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;

const evaluation = z.object({
  epoch: z.number(),
  step: z.number(),
  score: metric,
  metrics: z.record(z.string(), metric),
});

const trainingState = z.object({
  format: z.literal(1),
  /** Steps of the optimizer done. */
  step: z.number().int().nonnegative(),
  /** Where in the data: batches of the epoch that were taken. */
  epoch: z.number().int().nonnegative(),
  batch: z.number().int().nonnegative(),
  /** What the run was asked for, as far as it decides what happens: another run must not go on from here. */
  run: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  tokens: z.number(),
  evaluations: z.array(evaluation),
  bestScore: metric.nullable(),
  bestStep: z.number().nullable(),
  evaluationsWithoutGain: z.number(),
  /** Whether the model is to be evaluated before training goes on. */
  evaluationDue: z.boolean(),
});

/** Where training is, besides weights and moments. Everything random is a function of the seed and these counts. */
export type TrainingState = z.output<typeof trainingState>;

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Writes a checkpoint and removes those that are too many. Returns its directory. */
export async function writeCheckpoint(
  folder: string,
  modelFiles: string,
  trainee: Trainee,
  state: TrainingState,
  limit: number,
): Promise<string> {
  const name = `checkpoint-${state.step}`;
  const temporary = join(folder, `.${name}.${randomUUID()}.tmp`);
  const target = join(folder, name);
  try {
    await mkdir(temporary, { recursive: true });
    // The files that a model has besides its weights, so that a checkpoint loads as a model.
    await copyModelFiles(modelFiles, temporary);
    await trainee.saveWeights(temporary);
    const moments = new Map<string, TensorData>();
    for (const { name: parameter, shape, firstMoment, secondMoment } of trainee.trained.values()) {
      moments.set(`exp_avg.${parameter}`, { dtype: 'F32', shape, data: bytesOf(firstMoment) });
      moments.set(`exp_avg_sq.${parameter}`, { dtype: 'F32', shape, data: bytesOf(secondMoment) });
    }
    await writeSafetensors(join(temporary, optimizerName), moments);
    const file = await open(join(temporary, stateName), 'wx');
    await file.writeFile(JSON.stringify(state, withAllNumbers, 1));
    await file.sync();
    await file.close();
    // A run that goes back to an earlier checkpoint comes by here again.
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    await syncFolder(folder);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    if (cause instanceof FlatrankError) throw cause;
    throw new FlatrankError('ERR_NOT_FOUND', `Expected ${folder} to be writable but: ${(cause as Error).message}`, {
      cause,
    });
  }
  const all = await checkpoints(folder);
  const extra = limit === 0 ? [] : all.slice(0, -limit);
  for (const step of extra) await rm(join(folder, `checkpoint-${step}`), { recursive: true, force: true });
  return target;
}

/** A rename is on disk when its folder is. Not every system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder).catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

/** What a model's directory holds besides: weights, finished graphs, and what is a checkpoint's own. */
const notCopied = new Set([weightsName, weightsIndexName, 'onnx', stateName, optimizerName]);

/** Copies a saved model without its weights. */
export async function copyModelFiles(from: string, to: string): Promise<void> {
  for (const name of await readdir(from))
    if (!notCopied.has(name)) await cp(join(from, name), join(to, name), { recursive: true });
}

const bestPattern = /^best-\d+$/;

/** The best model of a run with checkpoints, that of `step`: kept beside them, since a resumed run may find no better one. */
export async function bestModel(folder: string, step: number): Promise<string | undefined> {
  const name = `best-${step}`;
  const names = await readdir(folder).catch(() => [] as string[]);
  return names.includes(name) ? join(folder, name) : undefined;
}

/** Puts what `save` writes beside the checkpoints of `folder` as the best model, instead of the one before. */
export async function keepBestModel(
  folder: string,
  step: number,
  save: (directory: string) => Promise<void>,
): Promise<void> {
  const name = `best-${step}`;
  const temporary = join(folder, `.checkpoint-${step}.${randomUUID()}.tmp`);
  await save(temporary);
  await rm(join(folder, name), { recursive: true, force: true });
  await rename(temporary, join(folder, name));
  await syncFolder(folder);
  for (const other of await readdir(folder))
    if (bestPattern.test(other) && other !== name) await rm(join(folder, other), { recursive: true, force: true });
}

/** Steps of the checkpoints in a folder, ascending; what a killed run left half written is removed. */
async function checkpoints(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  for (const name of names)
    if (temporaryPattern.test(name)) await rm(join(folder, name), { recursive: true, force: true });
  const steps = names.map((name) => namePattern.exec(name)?.[1]).filter((step) => step !== undefined);
  return steps.map(Number).sort((a, b) => a - b);
}

/** The directory of the last checkpoint in `folder`, or undefined. */
export async function lastCheckpoint(folder: string): Promise<string | undefined> {
  const step = (await checkpoints(folder)).at(-1);
  return step === undefined ? undefined : join(folder, `checkpoint-${step}`);
}

/**
 * Puts a checkpoint's weights and moments into `trainee` and returns where training was.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` where a file is damaged or does not fit the model,
 *   `ERR_INVALID_ARGUMENT` where the run it belongs to was another one
 */
export async function readCheckpoint(
  directory: string,
  trainee: Trainee,
  run: TrainingState['run'],
): Promise<TrainingState> {
  const state = await readState(join(directory, stateName));
  for (const key of new Set([...Object.keys(run), ...Object.keys(state.run)]))
    if (state.run[key] !== run[key])
      throw new FlatrankError(
        'ERR_INVALID_ARGUMENT',
        `Expected \`${key}\` to be ${String(state.run[key])}, as in the run that made ${directory}, but received ${String(run[key])}`,
      );
  await trainee.loadWeights(directory);
  const file = await SafetensorsFile.open(join(directory, optimizerName));
  for (const parameter of trainee.trained.values()) await readMoments(file, directory, parameter);
  return state;
}

async function readMoments(file: SafetensorsFile, directory: string, p: TrainedParameter): Promise<void> {
  for (const [key, target] of [
    [`exp_avg.${p.name}`, p.firstMoment],
    [`exp_avg_sq.${p.name}`, p.secondMoment],
  ] as const) {
    const values = await file.float32(key);
    if (values.length !== target.length)
      throw new FlatrankError('ERR_BAD_FILE', `Expected \`${key}\` in ${directory} to have ${target.length} values`);
    target.set(values);
  }
}

async function readState(path: string): Promise<TrainingState> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new FlatrankError('ERR_NOT_FOUND', `Expected a checkpoint but ${(error as Error).message}`);
  }
  try {
    return trainingState.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new FlatrankError('ERR_BAD_FILE', `Expected ${path} to be the state of a training run but: ${reason}`);
  }
}
