import { Command, Option } from 'commander';
import { estimateTune } from '../tune/estimate.js';
import { tune, type TuneDataset, type TuneOptions, type TuneReport } from '../tune/index.js';
import { markdownTable } from '../tune/report-markdown.js';
import { duration, notes, systemsTable } from '../tune/report-tables.js';
import { tuneDatasets } from '../tune/types.js';
import {
  exitCodesHelp,
  modelOption,
  parseCount,
  parseNames,
  parsePositive,
  parseWhole,
  verboseOption,
} from './options.js';
import { Report } from './report.js';

interface TuneCommandOptions {
  model?: string;
  out: string;
  cross?: string;
  dataset?: TuneDataset;
  split?: string;
  testSplit?: string;
  texts?: string[];
  sts?: string;
  stsDev?: string;
  stsEpochs?: number;
  testSize?: number;
  validationSize?: number;
  splitBy?: 'question' | 'context';
  searched?: 'all' | 'test';
  metric?: 'cosine' | 'dot' | 'l2';
  seed: number;
  epochs: number;
  batchSize: number;
  learningRate: number;
  maxSteps?: number;
  scale: number;
  maxLength?: number;
  crossEpochs: number;
  crossBatchSize: number;
  crossLearningRate: number;
  crossHeadLearningRate?: number;
  crossMaxSteps?: number;
  crossMaxLength?: number;
  hardNegatives: number;
  biK: number;
  crossK: number;
  rerankQuestions?: number;
  dryRun?: boolean;
  json?: boolean;
  verbose?: boolean;
}

const help = `
PAIRS is a file with a question and a context in each record (.jsonl .csv .tsv .parquet .json, each but Parquet also gzipped;
--texts names the fields), or a dataset that --dataset names. OUT gets the models (bi-encoder, cross-encoder), a store that
'flatrank search' reads, and report.html, report.md and report.json. An interrupted run is gone on with by the next one.

Examples:
  $ flatrank tune faq.jsonl --out tuned
  $ flatrank tune faq.jsonl --model models/all-MiniLM-L6-v2 --out tuned
  $ flatrank tune faq.jsonl -m DIR --out tuned --dry-run
  $ flatrank tune KorQuAD_v1.0_dev.json --dataset korquad -m DIR --cross DIR --sts klue_sts_train.csv --out tuned
  $ flatrank search tuned/store "a question" --rerank tuned/cross-encoder
${exitCodesHelp}`;

/** `flatrank tune`: from questions with contexts to a tuned retriever, and what that bought. */
export function tuneCommand(signal: AbortSignal): Command {
  const command = new Command('tune')
    .description('Tune a retriever to questions with contexts, and measure what each stage buys.')
    .argument('<pairs>', 'a file, a directory, or the id of a dataset on the Hugging Face Hub')
    .addOption(modelOption())
    .requiredOption('-o, --out <dir>', 'directory for models, store and reports')
    .option('--cross <dir>', "cross-encoder, or a body for one; without --model box-ko-en, else the tuned bi-encoder's")
    .addOption(new Option('--dataset <name>', 'what the data is, where it is no file of pairs').choices(tuneDatasets))
    .option('--split <name>', 'which part of the data is read')
    .option('--test-split <name>', 'which part the test questions come from, if another')
    .option('--texts <names>', 'the fields that are question and context', parseNames)
    .option('--sts <data>', 'pairs of texts with a score, to train on before all else')
    .option('--sts-dev <data>', 'what that is measured by; a tenth of it unless given')
    .option('--sts-epochs <n>', 'rounds through it (4 unless given)', parseCount)
    .option('--test-size <n>', 'test questions, or their share (0.2 unless given)', parsePositive)
    .option(
      '--validation-size <n>',
      "training questions to choose the blend's weight by, or their share",
      parsePositive,
    )
    .addOption(
      new Option('--split-by <unit>', 'context: all questions of a context on one side').choices([
        'question',
        'context',
      ]),
    )
    .addOption(
      new Option('--searched <which>', 'all: every distinct context; test: those of the test rows').choices([
        'all',
        'test',
      ]),
    )
    .addOption(
      new Option('--metric <name>', "how texts are compared; the model's own unless given").choices([
        'cosine',
        'dot',
        'l2',
      ]),
    )
    .option('--seed <n>', 'of splits, order, dropout, new weights and negatives', parseWhole, 42)
    .option('--epochs <n>', 'rounds of the bi-encoder through the questions', parseCount, 1)
    .option('--batch-size <n>', 'questions a batch', parseCount, 16)
    .option('--learning-rate <rate>', 'at the end of the warm-up', parsePositive, 2e-5)
    .option('--max-steps <n>', 'steps after which its training ends', parseCount)
    .option('--scale <n>', 'similarities count times this', parsePositive, 20)
    .option('--max-length <n>', "longest text in tokens, up to the model's", parseCount)
    .option('--cross-epochs <n>', 'the same of the cross-encoder', parseCount, 1)
    .option('--cross-batch-size <n>', 'pairs a batch', parseCount, 16)
    .option('--cross-learning-rate <rate>', 'at the end of the warm-up', parsePositive, 2e-5)
    .option('--cross-head-learning-rate <rate>', 'of its new head, where that is to learn faster', parsePositive)
    .option('--cross-max-steps <n>', 'steps after which its training ends', parseCount)
    .option('--cross-max-length <n>', "longest pair in tokens, up to the model's", parseCount)
    .option('--hard-negatives <n>', 'mined negatives a question, besides the random one', parseWhole, 0)
    .option('--bi-k <n>', 'candidates that the cross-encoder reads', parseCount, 30)
    .option('--cross-k <n>', 'how many of them are kept', parseCount, 10)
    .option('--rerank-questions <n>', 'rerank only the first so many test questions', parseCount)
    .option('--dry-run', 'say from a short timing what it would take, and write nothing')
    .option('--json', 'print one JSON document')
    .addOption(verboseOption());
  return command.addHelpText('after', help).action(async (data: string, options) => {
    await run(data, options as TuneCommandOptions, signal);
  });
}

async function run(data: string, o: TuneCommandOptions, signal: AbortSignal): Promise<void> {
  const head = o.crossHeadLearningRate;
  const options: TuneOptions = {
    ...{ data, model: o.model, out: o.out, dataset: o.dataset, split: o.split, testSplit: o.testSplit },
    ...{
      textFields: o.texts,
      testSize: o.testSize,
      validationSize: o.validationSize,
      splitBy: o.splitBy,
      seed: o.seed,
    },
    ...{ searched: o.searched, metric: o.metric, maxSeqLength: o.maxLength, biK: o.biK, crossK: o.crossK },
    rerankQuestions: o.rerankQuestions,
    biEncoder: {
      ...{
        epochs: o.epochs,
        batchSize: o.batchSize,
        learningRate: o.learningRate,
        maxSteps: o.maxSteps,
        scale: o.scale,
      },
    },
    crossEncoder: {
      ...{ body: o.cross, maxLength: o.crossMaxLength, hardNegatives: o.hardNegatives, maxSteps: o.crossMaxSteps },
      ...{ epochs: o.crossEpochs, batchSize: o.crossBatchSize, learningRate: o.crossLearningRate },
      ...(head === undefined ? {} : { learningRates: { classifier: head, 'pooler.': head } }),
    },
    sts: o.sts === undefined ? undefined : { data: o.sts, dev: o.stsDev, epochs: o.stsEpochs },
    signal,
  };
  await runTune(options, o);
}

/** Runs the road, or estimates it, and prints what came out. */
export async function runTune(
  options: TuneOptions,
  o: { dryRun?: boolean; json?: boolean; verbose?: boolean },
): Promise<TuneReport | undefined> {
  if (o.dryRun) {
    const { seconds, total, steps } = await estimateTune(options);
    if (o.json) process.stdout.write(`${JSON.stringify({ seconds, total, steps }, undefined, 2)}\n`);
    else {
      const rows = Object.entries({ ...seconds, 'in all': total }).map(([stage, value]) => [
        stage,
        duration(value),
        steps[stage] === undefined ? '' : `${steps[stage]} steps`,
      ]);
      process.stdout.write(`${markdownTable({ columns: ['stage', 'about', ''], rows })}\n`);
    }
    return undefined;
  }
  const progress = new Report(o.verbose ?? false);
  const report = await progress.stages((update) =>
    tune({
      ...options,
      onProgress: ({ stage, done, total, loss }) => {
        update(stage, done, total, loss === undefined ? '' : ` | loss ${loss.toFixed(4)}`);
      },
    }),
  );
  if (o.json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  else {
    const lines = [markdownTable(systemsTable(report)), ...notes(report), `The report is ${options.out}/report.html.`];
    process.stdout.write(`${lines.join('\n\n')}\n`);
  }
  return report;
}
