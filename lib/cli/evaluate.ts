import { Command, Option } from 'commander';
import type { Metrics } from '../evaluate/index.js';
import { CrossEncoder, SentenceTransformer } from '../model/index.js';
import { loadTask, taskKinds, type Task, type TaskKind, type TaskSource } from './evaluate-data.js';
import { runTask, type Systems } from './evaluate-run.js';
import { columnsOf } from './layout.js';
import {
  exitCodesHelp,
  modelOption,
  parseCount,
  parseFinite,
  parseNames,
  rerankOption,
  verboseOption,
} from './options.js';
import { Report } from './report.js';

interface EvaluateCommandOptions extends TaskSource {
  model?: string;
  rerank?: string;
  k: number;
  biK: number;
  blend: number;
  distinct?: boolean;
  metric?: 'l2' | 'cosine' | 'dot';
  maxSeqLength?: number;
  json?: boolean;
  verbose?: boolean;
}

const help = `
Data (what it is shows in it; --task says it where it does not):
  sts        pairs of texts with a score: KLUE-STS, KorSTS, STS-B
  pairs      pairs of texts with the label 0 or 1
  questions  questions with their contexts: KorQuAD, SQuAD, KLUE-MRC; a hit is a context that is the question's own
  beir       a directory with corpus, queries and qrels
Files end in .jsonl, .json, .csv, .tsv or .parquet; a directory holds one file a split.

Examples:
  $ flatrank evaluate data/korsts --split test -m DIR
  $ flatrank evaluate stsb-en-test.csv --columns sentence1,sentence2,score -m DIR --json
  $ flatrank evaluate data/KorQuAD_v1.0_dev.json -m DIR --rerank CROSS_ENCODER_DIR
  $ flatrank evaluate data/scifact -m DIR
${exitCodesHelp}`;

/** `flatrank evaluate`: measures a model on data. */
export function evaluateCommand(signal: AbortSignal): Command {
  const command = new Command('evaluate')
    .description('Measure a bi-encoder, alone and with a cross-encoder behind it, on data.')
    .argument('<data>', 'a file, a directory, or the id of a dataset on the Hugging Face Hub')
    .addOption(modelOption())
    .addOption(rerankOption())
    .addOption(new Option('--task <task>', 'what the data is').choices(taskKinds))
    .option('--split <name>', "which part of the data: train, validation or test ('test' for beir)")
    .option('--columns <names>', 'names of the columns of a table without a header row', parseNames)
    .option('--texts <names>', 'the two fields that are the texts of a pair', parseNames)
    .option('--label <name>', 'the field that is its score or label')
    .option('-k <n>', 'how many contexts count for a hit', parseCount, 10)
    .option('--bi-k <n>', 'how many candidates the cross-encoder reads', parseCount, 30)
    .option('--blend <weight>', "weight of the bi-encoder's score beside the cross-encoder's", parseFinite, 0)
    .addOption(
      new Option('--metric <name>', 'how questions and contexts are compared: l2 unless given').choices([
        'l2',
        'cosine',
        'dot',
      ]),
    )
    .option('--distinct', 'search every context once, however many questions share it')
    .option('--max-seq-length <n>', "longest input in tokens, up to the model's", parseCount)
    .option('--json', 'print one JSON document')
    .addOption(verboseOption());
  return command.addHelpText('after', help).action(async (data: string, options) => {
    await evaluate(data, options as EvaluateCommandOptions, signal);
  });
}

async function evaluate(data: string, options: EvaluateCommandOptions, signal: AbortSignal): Promise<void> {
  const report = new Report(options.verbose ?? false);
  const task = await report.stage('read', () => loadTask(data, options, signal));
  const { maxSeqLength, rerank } = options;
  await using encoder = await report.load((onProgress) =>
    SentenceTransformer.load(options.model, { onProgress, signal, maxSeqLength }),
  );
  await using crossEncoder =
    rerank === undefined
      ? undefined
      : await report.load((onProgress) => CrossEncoder.load(rerank, { onProgress, signal }));

  const systems = await report.stage('evaluate', () =>
    report.progress('evaluate', task.size, (update) =>
      runTask(task, encoder, crossEncoder, {
        k: options.k,
        biK: Math.max(options.biK, options.k),
        blend: options.blend,
        distinct: options.distinct ?? false,
        metric: options.metric,
        signal,
        onProgress: ({ done, total }) => {
          update(Math.floor((done / total) * task.size));
        },
      }),
    ),
  );
  report.times();
  const result = { data, task: task.kind, size: task.size, timesMs: report.timesMs, systems };
  if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else process.stdout.write(`${titleOf(task)}\n\n${renderSystems(systems)}`);
}

function titleOf({ kind, size }: Task): string {
  const units: Record<TaskKind, string> = {
    sts: 'pairs',
    pairs: 'pairs',
    questions: 'questions',
    beir: 'judged queries',
  };
  return `${size} ${units[kind]}`;
}

/** A table of measures, one system a column. */
function renderSystems(systems: Systems): string {
  const names = Object.keys(systems);
  const measures = [...new Set(Object.values(systems).flatMap((metrics) => Object.keys(metrics)))];
  const cells = [
    ['', ...names],
    ...measures.map((measure) => [measure, ...names.map((name) => cellOf(systems[name]!, measure))]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => columnsOf(row[column]!))));
  const pad = (text: string, width: number): string => ' '.repeat(width - columnsOf(text));
  return cells
    .map((row) =>
      row.map((text, i) => (i === 0 ? text + pad(text, widths[i]!) : pad(text, widths[i]!) + text)).join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function cellOf(metrics: Metrics, measure: string): string {
  const value = metrics[measure];
  return value === undefined ? '–' : value.toFixed(4);
}
