import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { FlatrankError } from '../errors.js';
import { CrossEncoder, SentenceTransformer, type LoadOptions } from '../model/index.js';
import { writeCurve } from '../train/curve.js';
import {
  BinaryCrossEntropyLoss,
  CachedMultipleNegativesRankingLoss,
  CoSENTLoss,
  CosineSimilarityLoss,
  fit,
  MatryoshkaLoss,
  MultipleNegativesRankingLoss,
  schedules,
  type EmbeddingLoss,
  type FitOptions,
  type FitReport,
  type Schedule,
  type SentenceLoss,
} from '../train/index.js';
import { readLog } from '../train/log.js';
import { taskKinds } from './evaluate-data.js';
import {
  exitCodesHelp,
  modelOption,
  parseCount,
  parseFinite,
  parseNames,
  parsePositive,
  parseWhole,
  verboseOption,
} from './options.js';
import { Report } from './report.js';
import { evaluatorOf, loadTrainData, type Recipe, type TrainData, type TrainDataOptions } from './train-data.js';

interface TrainCommandOptions extends TrainDataOptions {
  model?: string;
  out: string;
  loss?: string;
  scale: number;
  symmetric?: boolean;
  miniBatchSize: number;
  matryoshka?: number[];
  posWeight: number;
  numLabels: number;
  maxLength?: number;
  epochs: number;
  batchSize: number;
  maxSteps?: number;
  learningRate: number;
  weightDecay: number;
  schedule: Schedule;
  warmupSteps?: number;
  warmupRatio?: number;
  maxGradNorm: number;
  gradientAccumulationSteps: number;
  freeze?: string[];
  dropout: boolean;
  shuffle: boolean;
  evaluationSteps: number;
  saveBestModel: boolean;
  patience?: number;
  checkpoints?: string;
  checkpointSaveSteps: number;
  checkpointSaveTotalLimit: number;
  resume?: boolean;
  json?: boolean;
  verbose?: boolean;
}

const recipes: Record<Recipe, { summary: string; losses: readonly string[]; data: string }> = {
  sts: {
    summary: 'a bi-encoder on pairs of texts with a score of similarity',
    losses: ['cosine', 'cosent'],
    data: 'Pairs of texts with a score: KLUE-STS, KorSTS, STS-B, or any table with two texts and a score.',
  },
  mnr: {
    summary: 'a bi-encoder on texts and what answers them; the other answers of a batch are negatives',
    losses: ['mnr', 'cached-mnr'],
    data: 'Anchor and positive (and negatives) in each record, or questions with contexts: KorQuAD, SQuAD, KLUE-MRC.',
  },
  cross: {
    summary: 'a cross-encoder on pairs of texts with a label',
    losses: ['bce'],
    data: 'Pairs of texts with a label, or questions with contexts (each gets one context that is not its own).',
  },
};

/** `flatrank train`: fine-tunes a model. */
export function trainCommand(signal: AbortSignal): Command {
  const command = new Command('train')
    .description('Fine-tune a bi-encoder or a cross-encoder on data.')
    .helpCommand(false);
  for (const recipe of Object.keys(recipes) as Recipe[]) command.addCommand(recipeCommand(recipe, signal));
  return command.addHelpText('after', exitCodesHelp);
}

function recipeCommand(recipe: Recipe, signal: AbortSignal): Command {
  const { summary, losses, data } = recipes[recipe];
  const command = new Command(recipe)
    .description(`Train ${summary}.`)
    .argument('<data>', 'a file, a directory, or the id of a dataset on the Hugging Face Hub')
    .addOption(modelOption())
    .requiredOption('-o, --out <dir>', 'directory for the model, the log, and the curve of loss and metric')
    .addOption(new Option('--loss <name>', 'what is minimised').choices([...losses]).default(losses[0]))
    .addOption(new Option('--task <task>', 'what the data is, where its shape does not tell').choices(taskKinds))
    .option('--split <name>', 'which part of the data to train on')
    .option('--columns <names>', 'names of the columns of a table without a header row', parseNames)
    .option('--texts <names>', 'the fields that are the texts', parseNames)
    .option('--label <name>', 'the field that is the score or label')
    .option('--max-label <n>', 'what labels are divided by (5 unless given, where one is above 1)', parsePositive)
    .option('--dev <data>', 'data to evaluate on')
    .option('--dev-split <name>', 'which part of it')
    .option('--test-size <n>', 'else so many examples, or such a share, are split off to evaluate on', parsePositive)
    .option('--max-length <n>', "longest input in tokens, up to the model's", parseCount)
    .option('--epochs <n>', 'rounds through the data', parseCount, 1)
    .option('--batch-size <n>', 'examples a batch', parseCount, 16)
    .option('--max-steps <n>', 'steps after which training ends', parseCount)
    .option('--learning-rate <rate>', 'at the end of the warm-up', parsePositive, 2e-5)
    .option('--weight-decay <rate>', 'not of biases and normalisations', parseFinite, 0.01)
    .addOption(new Option('--schedule <name>', 'of the learning rate').choices([...schedules]).default('linear'))
    .option('--warmup-steps <n>', 'steps over which the learning rate rises', parseWhole)
    .option('--warmup-ratio <share>', 'else this share of all steps (0.1 unless given)', parsePositive)
    .option('--max-grad-norm <norm>', 'gradients of a larger norm are scaled down', parsePositive, 1)
    .option('--gradient-accumulation-steps <n>', 'batches a step', parseCount, 1)
    .option('--freeze <names>', 'parameters that stay as they are, by the start of their names', parseNames)
    .option('--no-dropout', 'drop no values')
    .option('--no-shuffle', 'take examples in their order')
    .option('--seed <n>', 'of order, splits, dropout and new weights', parseWhole, 42)
    .option('--evaluation-steps <n>', 'steps between evaluations, besides those at the end of an epoch', parseWhole, 0)
    .option('--no-save-best-model', 'write the last model, not the best')
    .option('--patience <n>', 'stop after so many evaluations without a gain', parseCount)
    .option('--checkpoints <dir>', 'directory for checkpoints')
    .option('--checkpoint-save-steps <n>', 'steps between them', parseCount, 500)
    .option('--checkpoint-save-total-limit <n>', 'how many are kept; 0 keeps all', parseWhole, 2)
    .option('--resume', 'go on from the last checkpoint');
  if (recipe !== 'cross')
    command
      .option('--scale <n>', 'similarities count times this (mnr, cosent)', parsePositive, 20)
      .option('--matryoshka <sizes>', 'train the first values of embeddings to stand alone, too', parseSizes);
  if (recipe === 'mnr')
    command
      .option('--symmetric', 'answers have to find their texts, too')
      .option('--mini-batch-size <n>', 'texts in memory at a time (cached-mnr)', parseCount, 32);
  if (recipe === 'cross')
    command
      .option('--pos-weight <n>', 'how much positives count', parsePositive, 1)
      .option('--num-labels <n>', 'of a new head, on a model without one', parseCount, 1);
  return command
    .option('--json', 'print one JSON document')
    .addOption(verboseOption())
    .addHelpText('after', `\n${data}\n${exitCodesHelp}`)
    .action(async (input: string, options) => {
      await run(recipe, input, options as TrainCommandOptions, signal);
    });
}

async function run(recipe: Recipe, input: string, o: TrainCommandOptions, signal: AbortSignal): Promise<void> {
  const report = new Report(o.verbose ?? false);
  const read = (classes: boolean): Promise<TrainData> =>
    report.stage('read', () => loadTrainData(recipe, input, { ...o, classes }, signal));
  const manyLabels = (o.numLabels ?? 1) > 1;
  const { train, dev } = await read(manyLabels);
  await mkdir(o.out, { recursive: true }).catch((cause: unknown) => {
    throw new FlatrankError(
      'ERR_NOT_FOUND',
      `Expected ${o.out} to be a directory that can be written: ${(cause as Error).message}`,
    );
  });
  const logPath = join(o.out, 'training_log.jsonl');
  const steps = o.maxSteps ?? Math.ceil(Math.ceil(train.length / o.batchSize) / o.gradientAccumulationSteps) * o.epochs;
  const common = {
    ...{ epochs: o.epochs, batchSize: o.batchSize, maxSteps: o.maxSteps, learningRate: o.learningRate },
    ...{ weightDecay: o.weightDecay, schedule: o.schedule, maxGradNorm: o.maxGradNorm, freeze: o.freeze, seed: o.seed },
    warmupSteps: o.warmupSteps ?? Math.ceil((o.warmupRatio ?? 0.1) * steps),
    gradientAccumulationSteps: o.gradientAccumulationSteps,
    ...{ dropout: o.dropout, shuffle: o.shuffle, evaluationSteps: o.evaluationSteps, saveBestModel: o.saveBestModel },
    earlyStopping: o.patience === undefined ? undefined : { patience: o.patience },
    checkpointPath: o.checkpoints,
    checkpointSaveSteps: o.checkpointSaveSteps,
    checkpointSaveTotalLimit: o.checkpointSaveTotalLimit,
    ...{ resume: o.resume ?? false, logPath, outputPath: o.out, signal },
  };
  const watched = (job: (onProgress: FitOptions['onProgress']) => Promise<FitReport>): Promise<FitReport> =>
    report.stage('train', () =>
      report.progress('train', steps, (update) =>
        job(({ step, loss, learningRate, tokensPerSecond }) => {
          const speed = `${Math.round(tokensPerSecond)} tokens/s`;
          update(step, ` | loss ${loss.toFixed(4)} | rate ${learningRate.toExponential(1)} | ${speed}`);
        }),
      ),
    );
  const run = async (): Promise<FitReport> => {
    if (recipe === 'cross') {
      await using model = await report.load((onProgress) => openCrossEncoder(o, { onProgress, signal }));
      const loss = model.numLabels === 1 ? new BinaryCrossEntropyLoss({ posWeight: o.posWeight }) : undefined;
      // Only the model tells whether labels are classes, where it comes with its head.
      const data = model.numLabels > 1 && !manyLabels ? await read(true) : { train, dev };
      const objectives = [{ examples: data.train, loss }];
      const evaluator = evaluatorOf(recipe, data.dev) as never;
      return await watched((onProgress) => fit(model, { ...common, objectives, evaluator, onProgress }));
    }
    await using model = await report.load((onProgress) =>
      SentenceTransformer.load(o.model, { onProgress, signal, maxSeqLength: o.maxLength }),
    );
    const objectives = [{ examples: train, loss: lossOf(o) }];
    const evaluator = evaluatorOf(recipe, dev) as never;
    return await watched((onProgress) => fit(model, { ...common, objectives, evaluator, onProgress }));
  };
  const result = await run();
  await finish(result, logPath, o);
  report.times();
}

/** A model with a head as it is; one without gets a new head. */
async function openCrossEncoder(o: TrainCommandOptions, watch: LoadOptions): Promise<CrossEncoder> {
  const options = { ...watch, maxLength: o.maxLength };
  try {
    return await CrossEncoder.load(o.model, options);
  } catch (error) {
    if (!(error instanceof FlatrankError) || error.code !== 'ERR_UNSUPPORTED') throw error;
    return CrossEncoder.fromEncoder(o.model!, { ...options, numLabels: o.numLabels, seed: o.seed });
  }
}

function lossOf(o: TrainCommandOptions): SentenceLoss {
  const ranking = { scale: o.scale, symmetric: o.symmetric ?? false };
  const losses: Record<string, () => EmbeddingLoss> = {
    cosine: () => new CosineSimilarityLoss(),
    cosent: () => new CoSENTLoss({ scale: o.scale }),
    'cached-mnr': () => new CachedMultipleNegativesRankingLoss({ ...ranking, miniBatchSize: o.miniBatchSize }),
    mnr: () => new MultipleNegativesRankingLoss(ranking),
  };
  const loss = losses[o.loss!]!();
  return o.matryoshka ? new MatryoshkaLoss(loss, { dimensions: o.matryoshka }) : loss;
}

/** What there is to see of a training: its report, and the curve of its log. */
async function finish(result: FitReport, logPath: string, o: TrainCommandOptions): Promise<void> {
  const { losses, ...figures } = result;
  const last = losses.slice(-100);
  // A run that goes on from its end does no step.
  const loss = last.length > 0 ? last.reduce((sum, value) => sum + value, 0) / last.length : undefined;
  const summary = { ...figures, loss };
  await writeFile(join(o.out, 'training_report.json'), `${JSON.stringify(summary, undefined, 2)}\n`);
  await writeCurve(await readLog(logPath), 'score', join(o.out, 'training_curve'));
  if (o.json) {
    process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
    return;
  }
  const speed = Math.round(result.tokens / Math.max(result.seconds, 1e-9));
  const lines = [
    `${result.steps} steps in ${result.seconds.toFixed(1)} s, ${speed} tokens/s, loss ${loss?.toFixed(4) ?? '–'}`,
  ];
  for (const { epoch, step, score } of result.evaluations)
    lines.push(`epoch ${epoch + 1}, step ${step}: ${score.toFixed(4)}${step === result.bestStep ? ' (best)' : ''}`);
  lines.push(
    `${o.out} holds the ${result.bestStep !== undefined && o.saveBestModel ? 'best' : 'last'} model, training_log.jsonl and training_curve.svg and .png`,
  );
  process.stdout.write(`${lines.join('\n')}\n`);
}

function parseSizes(value: string): number[] {
  return value.split(',').map(parseCount);
}
