import { Command } from 'commander';
import { reproduction, type Reproduction } from '../tune/reproduce.js';
import { exitCodesHelp, verboseOption } from './options.js';
import { runTune } from './tune.js';

interface ReproduceCommandOptions {
  data?: string;
  model?: string;
  out?: string;
  small?: boolean;
  english?: boolean;
  dryRun?: boolean;
  json?: boolean;
  verbose?: boolean;
}

const help = `
Without --small or --english: the published experiment. klue/roberta-base is trained on KLUE-STS and then on KLUE-MRC, and
klue/roberta-small reranks; 1,000 questions of the validation split search their own contexts. Models and data come from the
Hugging Face Hub, or KLUE's files from the directory that --data names. It takes many hours on a processor.

  --small     KLUE-STS and KorQuAD from --data (klue/, korquad/), and a small BERT of random weights with the tokenizer in
              --data/../models/wordpiece-ko-en-16k
  --english   documentation from --data (docs/docs-en.jsonl.gz), and all-MiniLM-L6-v2 from --model or the Hub

An interrupted run is gone on with by the next one.

Examples:
  $ flatrank reproduce --small --data ../shared/data
  $ flatrank reproduce --english --data ../shared/data --model models/all-MiniLM-L6-v2
${exitCodesHelp}`;

/** `flatrank reproduce`: the reference experiment, or one of its kin that need no network. */
export function reproduceCommand(signal: AbortSignal): Command {
  const command = new Command('reproduce')
    .description('Run the reference experiment: base, fine-tuned, fine-tuned with rerank.')
    .option('--data <dir>', 'directory with the data')
    .option('-m, --model <dir>', 'another model to start from')
    .option('-o, --out <dir>', 'directory for models, store and reports (flatrank-NAME unless given)')
    .option('--small', 'on KorQuAD, from random weights')
    .option('--english', 'on English documentation, from all-MiniLM-L6-v2')
    .option('--dry-run', 'say from a short timing what it would take, and write nothing')
    .option('--json', 'print one JSON document')
    .addOption(verboseOption());
  return command.addHelpText('after', help).action(async (o: ReproduceCommandOptions) => {
    if ((o.small || o.english) && o.data === undefined) command.error("error: option '--data <dir>' is needed with it");
    if (o.small && o.english) command.error("error: '--small' and '--english' exclude each other");
    const kind: Reproduction = o.small ? 'small' : o.english ? 'english' : 'reference';
    const { data, model, out = `flatrank-${kind}` } = o;
    await runTune({ ...(await reproduction(kind, { data, model, signal })), out, signal }, o);
  });
}
