import { Command } from 'commander';
import { inspectModel, type ModelDescription } from '../model/inspect.js';
import { modelDirectory } from '../model/resolve.js';
import { printable } from './layout.js';
import { crossEncoderOption, exitCodesHelp } from './options.js';
import { Report } from './report.js';

interface InspectCommandOptions {
  crossEncoder?: boolean;
  json?: boolean;
  revision?: string;
}

const examples = `
The model is not run: a directory's configurations and the headers of its weights are read. Of a model of the Hub what
is not cached is downloaded first.

Examples:
  $ flatrank inspect models/all-MiniLM-L6-v2
  $ flatrank inspect klue/roberta-base --json | jq .parameters
${exitCodesHelp}`;

/** `flatrank inspect`: tells what a model is. */
export function inspectCommand(signal: AbortSignal): Command {
  return new Command('inspect')
    .description('Tell what a model is: architecture, parameters, dimension, pooling, prompts, files.')
    .argument('<model>', 'directory of a model, or its id on the Hub')
    .option('--revision <name>', 'branch, tag or commit of a model of the Hub')
    .addOption(crossEncoderOption())
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action(async (model: string, options: InspectCommandOptions) => {
      await inspect(model, options, signal);
    });
}

async function inspect(model: string, options: InspectCommandOptions, signal: AbortSignal): Promise<void> {
  const directory = await new Report(false).progress('download', 1, (update, setTotal) =>
    modelDirectory(
      model,
      {
        revision: options.revision,
        signal,
        onProgress: ({ done, total }) => {
          setTotal(total);
          update(done);
        },
      },
      options.crossEncoder ? 'cross-encoder' : 'bi-encoder',
    ),
  );
  const description = await inspectModel(directory);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ model, directory, ...description }, null, 2)}\n`
      : render(model, directory, description),
  );
}

/** The description for people: a name and a value a line, then the files. */
function render(model: string, directory: string, d: ModelDescription): string {
  const lines: [name: string, value: string | undefined][] = [
    ['directory', directory === model ? undefined : directory],
    ['kind', d.kind],
    ['architecture', join([d.architecture ?? 'unknown', d.modelType && `(${d.modelType})`], ' ')],
    ['size', join([d.layers && `${d.layers} layers`, d.hiddenSize && `hidden size ${d.hiddenSize}`], ', ')],
    [
      'parameters',
      d.parameters === null ? 'not told by an ONNX file' : `${count(d.parameters)} (${d.dtypes.join(', ')})`,
    ],
    [
      'tokenizer',
      d.tokenizer ? `${d.tokenizer.type ?? 'unknown'}, ${count(d.tokenizer.vocabularySize)} tokens` : undefined,
    ],
    ['dimension', d.dimension === null ? undefined : count(d.dimension)],
    ['labels', d.numLabels === null ? undefined : count(d.numLabels)],
    ['pooling', join(d.pooling, ', then ')],
    ['max length', `${count(d.maxSeqLength)} tokens`],
    ['similarity', d.similarityFnName ?? undefined],
    [
      'prompts',
      join(
        Object.entries(d.prompts).map(([name, text]) => `${name} ${JSON.stringify(text)}`),
        ', ',
      ),
    ],
    ['default prompt', d.defaultPromptName ?? undefined],
  ];
  const table = lines.filter(([, value]) => value).map(([name, value]) => `  ${name.padEnd(16)}${printable(value!)}`);
  const width = Math.max(0, ...d.files.map(({ bytes }) => count(bytes).length));
  const files = d.files.map(({ path, bytes }) => `    ${count(bytes).padStart(width)}  ${printable(path)}`);
  return [printable(model), ...table, `  files (bytes)`, ...files, ''].join('\n');
}

const join = (parts: readonly (string | number | null | undefined)[], separator: string): string =>
  parts.filter(Boolean).join(separator);

const count = (n: number): string => n.toLocaleString('en-US');
