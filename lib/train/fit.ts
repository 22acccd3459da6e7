/** Training of a model, in a thread of its own. */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FlatrankError, invalidArgument } from '../errors.js';
import { primaryScore, type Metrics } from '../evaluate/index.js';
import { CrossEncoder, SentenceTransformer } from '../model/index.js';
import { reload } from '../model/reload.js';
import { notify } from '../runtime/progress.js';
import { fromWireError } from '../runtime/protocol.js';
import { threadBudget } from '../runtime/threads.js';
import { startWorker } from '../runtime/undisturbed.js';
import { bestModel, copyModelFiles, keepBestModel } from './checkpoint.js';
import { trainingExample, type TrainingExample } from './examples.js';
import { planOf, type FitEvaluation, type FitOptions, type FitReport, type Trainable } from './options.js';
import type { TrainingReply, TrainingRequest, TrainingSpec } from './protocol.js';

const workerEntry = new URL('./worker-main.js', import.meta.url);

/** Examples go to the thread in slices of about this many characters and bytes, so that neither side stops for long. */
const sliceSize = 1_000_000;

/**
 * Trains `model` on the examples of its objectives. It runs in a thread of its own; the event loop stays free, and the model
 * answers calls meanwhile with the weights of the last evaluation. In the end the model has the last weights (with
 * `loadBestModel` the best); where training fails or is aborted it keeps those it had. Follows sentence-transformers' `fit`.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_NOT_FOUND`; `ERR_UNSUPPORTED` where the model cannot be trained; `ERR_NON_FINITE` where the
 *   loss is not a number any more, with step and batch; `ERR_MODEL`, `ERR_WORKER`; an abort rejects with `signal.reason` when a
 *   checkpoint is written
 */
export async function fit<M extends Trainable>(model: M, options: FitOptions<NoInfer<M>>): Promise<FitReport> {
  const kind =
    model instanceof SentenceTransformer
      ? 'sentence-transformer'
      : model instanceof CrossEncoder
        ? 'cross-encoder'
        : undefined;
  if (!kind) throw invalidArgument('model', 'a SentenceTransformer or CrossEncoder', model);
  const plan = planOf(model, options);
  const { checkpointPath } = options;
  if (checkpointPath !== undefined)
    await mkdir(checkpointPath, { recursive: true }).catch((cause: unknown) => {
      const text = `Expected \`checkpointPath\` to be a directory that can be made but: ${(cause as Error).message}`;
      throw new FlatrankError('ERR_NOT_FOUND', text, { cause });
    });
  const site = new Error();
  const made: string[] = [];
  const folder = async (): Promise<string> => {
    const path = await mkdtemp(join(tmpdir(), 'flatrank-fit-'));
    made.push(path);
    return path;
  };
  let kept: string | undefined;
  try {
    const [start, current, best] = [await folder(), await folder(), await folder()];
    await model.save(start);
    await copyModelFiles(start, current);
    const spec: TrainingSpec = { kind, directory: start, current, threads: threadBudget(), plan };
    const run = new Run(model, options, spec, best, site);
    try {
      const report = await run.result();
      await run.takeEarlierBest(report);
      kept = options.loadBestModel === true ? (run.best ?? current) : current;
      await model[reload](kept, kept !== options.outputPath);
      if (options.outputPath !== undefined && !(run.best !== undefined && options.saveBestModel !== false))
        await model.save(options.outputPath);
      return report;
    } catch (error) {
      if (run.changed) await model[reload]((kept = start), true);
      throw error;
    }
  } finally {
    for (const path of made) if (path !== kept) await rm(path, { recursive: true, force: true });
  }
}

/** One training thread, and what is done for it here. */
class Run<M extends Trainable> {
  /** Directory of the best model, once there is one. */
  best: string | undefined;
  /** Whether the model has other weights than it came with. */
  changed = false;
  readonly #model: M;
  readonly #o: FitOptions<M>;
  readonly #spec: TrainingSpec;
  readonly #site: Error;
  readonly #bestFolder: string;
  /** Step of the last evaluation. */
  #step = 0;

  /** @param bestFolder for the best model, where it is to be kept and has no other place */
  constructor(model: M, o: FitOptions<M>, spec: TrainingSpec, bestFolder: string, site: Error) {
    this.#model = model;
    this.#o = o;
    this.#spec = spec;
    this.#bestFolder = bestFolder;
    this.#site = site;
  }

  async result(): Promise<FitReport> {
    const { signal } = this.#o;
    signal?.throwIfAborted();
    const worker = startWorker(workerEntry, this.#spec, 'flatrank-fit');
    const post = (request: TrainingRequest): void => {
      worker.postMessage(request);
    };
    const onAbort = (): void => {
      post({ type: 'stop' });
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        resolve();
      });
    });
    try {
      return await new Promise<FitReport>((resolve, reject) => {
        const failed = (text: string): void => {
          reject(new FlatrankError('ERR_WORKER', text));
        };
        worker.on('error', (error) => {
          failed(`The training thread failed: ${error instanceof Error ? error.message : String(error)}`);
        });
        worker.on('exit', (status) => {
          failed(`The training thread stopped unexpectedly with exit status ${status}`);
        });
        worker.on('message', (message: TrainingReply) => {
          if (message.type === 'progress') notify(this.#o.onProgress, message.progress);
          else if (message.type === 'done') resolve(message.report);
          else if (message.type === 'stopped') reject(signal?.reason);
          else if (message.type === 'failed') reject(fromWireError(message.error, this.#site));
          else this.#serve(message, post).catch(reject);
        });
        this.#sendExamples(post).catch(reject);
      });
    } catch (error) {
      // The thread may be waiting for an answer that does not come.
      await worker.terminate();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await exited;
    }
  }

  async #serve(
    message: Extract<TrainingReply, { type: 'evaluate' | 'best' }>,
    post: (request: TrainingRequest) => void,
  ): Promise<void> {
    if (message.type === 'evaluate') {
      post({ type: 'evaluated', result: await this.#evaluate(message.epoch, message.step) });
      return;
    }
    const place = this.#placeOfBest();
    if (place !== undefined) {
      const save = (directory: string): Promise<void> => this.#model.save(directory);
      await save((this.best = place));
      const { checkpointPath } = this.#o;
      if (checkpointPath !== undefined) await keepBestModel(checkpointPath, this.#step, save);
    }
    post({ type: 'saved' });
  }

  /** Where the best model goes, if it is wanted. */
  #placeOfBest(): string | undefined {
    const { outputPath, saveBestModel = true, loadBestModel = false } = this.#o;
    if (outputPath !== undefined && saveBestModel) return outputPath;
    return loadBestModel ? this.#bestFolder : undefined;
  }

  /** After a resumed run that found no better model than the best of the run before: that is the best one. */
  async takeEarlierBest({ bestStep }: FitReport): Promise<void> {
    const { resume, checkpointPath } = this.#o;
    const place = this.#placeOfBest();
    const folder = typeof resume === 'string' ? dirname(resume) : checkpointPath;
    if (this.best !== undefined || place === undefined || bestStep === undefined || folder === undefined) return;
    const best = await bestModel(folder, bestStep);
    if (best !== undefined) await cp(best, (this.best = place), { recursive: true });
  }

  /** Undefined where the signal ended it: the thread then leaves a checkpoint and stops. */
  async #evaluate(epoch: number, step: number): Promise<FitEvaluation | undefined> {
    this.changed = true;
    this.#step = step;
    await this.#model[reload](this.#spec.current, false);
    const { signal } = this.#o;
    const evaluator = this.#o.evaluator!;
    let result: Metrics | number;
    try {
      result = await evaluator.evaluate(this.#model, signal ? { signal } : {});
    } catch (error) {
      if (signal?.aborted) return undefined;
      throw error;
    }
    const evaluation: FitEvaluation = {
      epoch,
      step,
      score: primaryScore(evaluator, result),
      metrics: typeof result === 'number' ? {} : result,
    };
    notify(this.#o.onEvaluation, evaluation);
    return evaluation;
  }

  async #sendExamples(post: (request: TrainingRequest) => void): Promise<void> {
    for (const [objective, { examples }] of this.#o.objectives.entries()) {
      let slice: TrainingExample[] = [];
      let size = 0;
      for (const example of examples.map(trainingExample)) {
        slice.push(example);
        for (const text of example.texts) size += text.length;
        if (typeof example.label === 'object') size += example.label.byteLength;
        if (size < sliceSize) continue;
        post({ type: 'examples', objective, examples: slice });
        [slice, size] = [[], 0];
        await new Promise((resolve) => setImmediate(resolve));
      }
      post({ type: 'examples', objective, examples: slice });
    }
    post({ type: 'start' });
  }
}
