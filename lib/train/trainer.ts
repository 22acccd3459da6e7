/** The training loop: batches, steps, evaluations, checkpoints. For the training thread. */
import { createHash } from 'node:crypto';
import { FlatrankError } from '../errors.js';
import type { Metrics } from '../evaluate/index.js';
import { ObjectiveData } from './batches.js';
import { lastCheckpoint, readCheckpoint, writeCheckpoint, type TrainingState } from './checkpoint.js';
import { Engine } from './engine.js';
import type { TrainingExample } from './examples.js';
import { TrainingLog } from './log.js';
import { Optimizer } from './optimizer.js';
import type { FitEvaluation, FitProgress, FitReport, TrainingPlan } from './options.js';
import { scheduleFactor } from './schedule.js';
import type { Trainee } from './trainee.js';

/** What the loop asks of whoever runs it. */
export interface TrainerHost {
  /** Whether to stop after the step that runs. */
  readonly stopped: () => boolean;
  progress(progress: FitProgress): void;
  /** Measures the model with its weights as they are now; undefined where that was aborted. */
  evaluate(epoch: number, step: number): Promise<{ score: number; metrics: Metrics } | undefined>;
  /** The model that was just evaluated is the best so far. */
  best(): Promise<void>;
}

/** What {@link train} takes. */
export interface TrainerOptions {
  readonly trainee: Trainee;
  readonly plan: TrainingPlan;
  /** Of each objective. */
  readonly examples: readonly (readonly TrainingExample[])[];
  readonly threads: number;
  /** Directory with the model's other files, for checkpoints. */
  readonly modelFiles: string;
  readonly host: TrainerHost;
}

/** Steps over which speed is measured. */
const speedSteps = 20;

/** Runs a training from its start or its last checkpoint. Undefined where it was stopped. */
export async function train(o: TrainerOptions): Promise<FitReport | undefined> {
  const engine = await Engine.create({
    encoder: o.trainee.encoder,
    head: o.trainee.head,
    weights: o.trainee.weights,
    trained: o.trainee.trained,
    threads: o.threads,
    dropout: o.plan.dropout,
    seed: o.plan.seed,
  });
  try {
    return await new Trainer(o, engine).run();
  } finally {
    await engine.dispose();
  }
}

class Trainer {
  readonly #o: TrainerOptions;
  readonly #plan: TrainingPlan;
  readonly #engine: Engine;
  readonly #optimizer: Optimizer;
  readonly #data: readonly ObjectiveData[];
  readonly #batchesAnEpoch: number;
  readonly #totalSteps: number;
  readonly #losses: number[] = [];
  readonly #started = performance.now();
  #state: TrainingState;
  #log: TrainingLog | undefined;
  #recent: { readonly at: number; readonly tokens: number }[] = [];
  #savedAt = -1;

  constructor(o: TrainerOptions, engine: Engine) {
    this.#o = o;
    this.#plan = o.plan;
    this.#engine = engine;
    const { trainee, plan } = o;
    this.#optimizer = new Optimizer([...trainee.trained.values()], plan);
    const tokenize = (texts: readonly string[]) => trainee.tokenize(texts);
    this.#data = o.examples.map((examples, i) => new ObjectiveData(examples, plan.losses[i]!, tokenize, plan));
    this.#batchesAnEpoch = Math.min(...this.#data.map(({ batches }) => batches)) * this.#data.length;
    const stepsAnEpoch = Math.ceil(this.#batchesAnEpoch / plan.gradientAccumulationSteps);
    this.#totalSteps = Math.min(plan.maxSteps, stepsAnEpoch * plan.epochs);
    this.#state = {
      format: 1,
      step: 0,
      epoch: 0,
      batch: 0,
      run: runOf(plan, o.examples),
      tokens: 0,
      evaluations: [],
      bestScore: null,
      bestStep: null,
      evaluationsWithoutGain: 0,
      evaluationDue: false,
    };
  }

  async run(): Promise<FitReport | undefined> {
    await this.#resume();
    const { logPath } = this.#plan;
    if (logPath !== undefined) this.#log = await TrainingLog.open(logPath, this.#state.step);
    try {
      const ended = (await this.#evaluate()) ?? (await this.#epochs());
      return ended === 'stopped' ? undefined : this.#report(ended === 'early');
    } finally {
      await this.#log?.close();
    }
  }

  async #resume(): Promise<void> {
    const { resume, checkpointPath } = this.#plan;
    if (resume === false) return;
    const directory = typeof resume === 'string' ? resume : await lastCheckpoint(checkpointPath!);
    if (directory === undefined) return;
    this.#state = await readCheckpoint(directory, this.#o.trainee, this.#state.run);
    this.#optimizer.step = this.#state.step;
    this.#savedAt = this.#state.step;
  }

  async #epochs(): Promise<'done' | 'early' | 'stopped'> {
    const { epochs } = this.#plan;
    while (this.#state.epoch < epochs && !this.#done()) {
      const ended = await this.#epoch();
      if (ended) return ended;
      this.#move({ epoch: this.#state.epoch + 1, batch: 0 });
    }
    return 'done';
  }

  #done(): boolean {
    return this.#state.step >= this.#totalSteps;
  }

  /** The rest of an epoch, batch by batch, each objective in its turn. */
  async #epoch(): Promise<'early' | 'stopped' | undefined> {
    const { gradientAccumulationSteps: perStep, evaluationSteps, checkpointSaveSteps } = this.#plan;
    const { epoch, batch: from } = this.#state;
    const turns = this.#data.map((data) => ({ data, batches: data.epoch(epoch) }));
    let batches = 0;
    let sum = 0;
    for (let i = 0; i < this.#batchesAnEpoch; i++) {
      const { data, batches: own } = turns[i % turns.length]!;
      const examples = own.next().value!;
      if (i < from) continue;
      const batch = data.tokens(examples, epoch * this.#batchesAnEpoch + i);
      const loss = await this.#engine.run(data.loss, batch, batches > 0);
      if (!Number.isFinite(loss))
        throw this.#diverged(
          'loss',
          loss,
          i,
          examples.map(({ index }) => index),
        );
      this.#state.tokens += batch.texts.reduce((tokens, { ids }) => tokens + ids.length, 0);
      sum += loss;
      batches++;
      const last = i === this.#batchesAnEpoch - 1;
      if (batches < perStep && !last) continue;
      await this.#step(sum / batches, batches, i);
      this.#move({ batch: i + 1 });
      [batches, sum] = [0, 0];
      const { step } = this.#state;
      const end = last || this.#done();
      const due = this.#plan.evaluate && (end || (evaluationSteps > 0 && step % evaluationSteps === 0));
      this.#move({ evaluationDue: due });
      const ended = (await this.#evaluate()) ?? (this.#o.host.stopped() ? 'stopped' : undefined);
      if (ended || end || step % checkpointSaveSteps === 0) await this.#checkpoint();
      if (ended || this.#done()) return ended;
    }
    return undefined;
  }

  async #step(loss: number, batches: number, batch: number): Promise<void> {
    const { schedule, warmupSteps } = this.#plan;
    const { epoch } = this.#state;
    const factor = scheduleFactor(schedule, this.#state.step, warmupSteps, this.#totalSteps);
    const learningRate = this.#plan.learningRate * factor;
    const gradNorm = await this.#optimizer.update(factor, batches);
    if (!Number.isFinite(gradNorm)) throw this.#diverged('gradient norm', gradNorm, batch, []);
    this.#move({ step: this.#state.step + 1 });
    const { step } = this.#state;
    this.#losses.push(loss);
    const tokensPerSecond = this.#speed();
    const perStep = (performance.now() - this.#started) / 1000 / this.#losses.length;
    const totalSteps = this.#totalSteps;
    const secondsLeft = perStep * (totalSteps - step);
    this.#o.host.progress({ epoch, step, totalSteps, loss, learningRate, gradNorm, tokensPerSecond, secondsLeft });
    await this.#log?.write({
      step,
      epoch,
      loss,
      learning_rate: learningRate,
      grad_norm: gradNorm,
      tokens_per_second: Math.round(tokensPerSecond),
    });
  }

  #speed(): number {
    this.#recent.push({ at: performance.now(), tokens: this.#state.tokens });
    if (this.#recent.length > speedSteps) this.#recent.shift();
    const [first, last] = [this.#recent[0]!, this.#recent.at(-1)!];
    return last.at > first.at ? ((last.tokens - first.tokens) / (last.at - first.at)) * 1000 : 0;
  }

  /** Measures the model, if that is due. */
  async #evaluate(): Promise<'early' | 'stopped' | undefined> {
    const { epoch, step, bestScore, evaluationDue } = this.#state;
    if (!evaluationDue) return undefined;
    const result = await this.#o.host.evaluate(epoch, step);
    if (!result) return 'stopped';
    const { score, metrics } = result;
    const evaluation: FitEvaluation = { epoch, step, score, metrics };
    await this.#log?.write({ step, epoch, score, ...metrics });
    const sign = this.#plan.greaterIsBetter ? 1 : -1;
    // A score that is not a number is better than none.
    const gain = Number.isNaN(score) ? -Infinity : bestScore === null ? Infinity : sign * (score - bestScore);
    this.#move({
      evaluations: [...this.#state.evaluations, evaluation],
      evaluationsWithoutGain: gain > this.#plan.threshold ? 0 : this.#state.evaluationsWithoutGain + 1,
      evaluationDue: false,
    });
    if (gain > 0) {
      this.#move({ bestScore: score, bestStep: step });
      await this.#o.host.best();
    }
    return this.#state.evaluationsWithoutGain >= this.#plan.patience ? 'early' : undefined;
  }

  async #checkpoint(): Promise<void> {
    const { checkpointPath, checkpointSaveTotalLimit: limit } = this.#plan;
    if (checkpointPath === undefined || this.#savedAt === this.#state.step) return;
    this.#savedAt = this.#state.step;
    await writeCheckpoint(checkpointPath, this.#o.modelFiles, this.#o.trainee, this.#state, limit);
  }

  #move(change: Partial<TrainingState>): void {
    this.#state = { ...this.#state, ...change };
  }

  #diverged(what: string, value: number, batch: number, examples: readonly number[]): FlatrankError {
    const { step, epoch } = this.#state;
    const which = examples.length > 0 ? ` (examples ${examples.join(', ')})` : '';
    return new FlatrankError(
      'ERR_NON_FINITE',
      `Expected a finite ${what} but received ${value} at step ${step + 1}, batch ${batch + 1} of epoch ${epoch + 1}${which}`,
    );
  }

  #report(stoppedEarly: boolean): FitReport {
    const { step, tokens, evaluations, bestScore, bestStep } = this.#state;
    return {
      epochs: this.#plan.epochs,
      steps: step,
      seconds: (performance.now() - this.#started) / 1000,
      tokens,
      losses: this.#losses,
      evaluations,
      bestScore: bestScore ?? undefined,
      bestStep: bestStep ?? undefined,
      stoppedEarly,
    };
  }
}

/** What must be the same for a run to go on from another's checkpoint. */
function runOf(plan: TrainingPlan, examples: readonly (readonly TrainingExample[])[]): TrainingState['run'] {
  const hash = createHash('sha256');
  for (const list of examples)
    for (const { texts, label = null } of list) {
      const embedding = typeof label === 'object' ? label : null;
      hash.update(JSON.stringify([texts, embedding ? 'embedding' : label]));
      if (embedding) hash.update(embedding);
    }
  const { epochs, batchSize, warmupSteps, schedule, learningRate, weightDecay, beta1, beta2, epsilon } = plan;
  const { maxSteps, maxGradNorm, gradientAccumulationSteps, dropout, shuffle, seed } = plan;
  return {
    examples: hash.digest('hex'),
    losses: JSON.stringify(plan.losses),
    learningRates: JSON.stringify(plan.learningRates),
    freeze: plan.freeze.map(String).join(),
    maxSteps: String(maxSteps),
    maxGradNorm: String(maxGradNorm),
    ...{ epochs, batchSize, warmupSteps, schedule, learningRate, weightDecay, beta1, beta2, epsilon },
    ...{ gradientAccumulationSteps, dropout, shuffle, seed },
  };
}
