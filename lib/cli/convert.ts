import { Command } from 'commander';
import { CrossEncoder, SentenceTransformer, type LoadOptions } from '../model/index.js';
import { kindOfModel } from '../model/inspect.js';
import { modelDirectory } from '../model/resolve.js';
import { crossEncoderOption, exitCodesHelp, verboseOption } from './options.js';
import { Report } from './report.js';

interface ConvertCommandOptions {
  out: string;
  crossEncoder?: boolean;
  int8?: boolean;
  verbose?: boolean;
}

const examples = `
DIR gets what sentence-transformers, transformers.js and flatrank load: model.safetensors in 32-bit floats,
onnx/model.onnx with padded inputs, the tokenizer, modules and prompts. With --int8 also onnx/model_quantized.onnx, which
transformers.js calls dtype 'q8'. Files of those names that are there are replaced; of another model its weights, graphs
and tokenizer go.

Examples:
  $ flatrank convert checkpoints/my-roberta --out models/my-roberta
  $ flatrank convert models/reranker --out models/reranker-int8 --int8
  $ flatrank convert all-MiniLM-L6-v2 --out models/all-MiniLM-L6-v2
${exitCodesHelp}`;

/** `flatrank convert`: writes a checkpoint as a directory for other programs. */
export function convertCommand(signal: AbortSignal): Command {
  return new Command('convert')
    .description('Write a checkpoint as ONNX and in the layout of sentence-transformers.')
    .argument('<model>', 'directory of a bi-encoder or cross-encoder, or its name on the Hub')
    .requiredOption('-o, --out <dir>', 'where to write')
    .addOption(crossEncoderOption())
    .option('--int8', 'also write an ONNX file with 8-bit weights')
    .addOption(verboseOption())
    .addHelpText('after', examples)
    .action(async (model: string, options: ConvertCommandOptions) => {
      await convert(model, options, signal);
    });
}

async function convert(name: string, options: ConvertCommandOptions, signal: AbortSignal): Promise<void> {
  const report = new Report(options.verbose ?? false);
  await using model = await report.load((onProgress) => load(name, options, { onProgress, signal }));
  signal.throwIfAborted();
  await report.stage('save', () => model.save(options.out, { quantized: options.int8 ?? false }));
  const kind = model instanceof CrossEncoder ? 'cross-encoder' : 'bi-encoder';
  report.note(`${kind} ${name} in ${options.out}`);
  report.times();
}

/** The kind of model is what `flatrank inspect` calls it, unless the options say it. */
async function load(
  name: string,
  { crossEncoder }: ConvertCommandOptions,
  o: LoadOptions,
): Promise<CrossEncoder | SentenceTransformer> {
  const directory = await modelDirectory(name, o, crossEncoder ? 'cross-encoder' : 'bi-encoder');
  const isCrossEncoder = crossEncoder ?? (await kindOfModel(directory)) === 'cross-encoder';
  return isCrossEncoder ? CrossEncoder.load(directory, o) : SentenceTransformer.load(directory, o);
}
