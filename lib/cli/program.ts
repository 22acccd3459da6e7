import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { convertCommand } from './convert.js';
import { encodeCommand } from './encode.js';
import { evaluateCommand } from './evaluate.js';
import { indexCommand } from './index-command.js';
import { infoCommand } from './info.js';
import { inspectCommand } from './inspect.js';
import { reproduceCommand } from './reproduce.js';
import { searchCommand } from './search.js';
import { trainCommand } from './train.js';
import { tuneCommand } from './tune.js';

const examples = `
Examples:
  $ flatrank search "how do I undo a commit" notes/*.md
  $ flatrank search "왜 렌더링이 두 번 되나요" docs.jsonl.gz --rerank DIR -k 3 --json
  $ flatrank index notes/*.md docs.jsonl.gz --out notes.store
  $ flatrank search notes.store "how do I undo a commit" -k 3 --where '{"lang": "en"}'
  $ flatrank encode docs.jsonl --model DIR --normalize --out docs.npy
  $ flatrank evaluate data/korsts --split test --model DIR
  $ flatrank inspect sentence-transformers/all-MiniLM-L6-v2
  $ flatrank convert checkpoints/my-roberta --out models/my-roberta --int8
  $ flatrank train sts data/korsts --model DIR --out tuned --epochs 4
  $ flatrank tune faq.jsonl --out tuned

A model is a Hugging Face directory with tokenizer.json, and model.safetensors or onnx/model.onnx, or the name of one on the Hub.
Where none is given it is box-ko-en, which comes with flatrank: small, for Korean and English. 'flatrank COMMAND --help' tells more.`;

const commands = [
  searchCommand,
  indexCommand,
  infoCommand,
  encodeCommand,
  evaluateCommand,
  trainCommand,
  tuneCommand,
  reproduceCommand,
  convertCommand,
  inspectCommand,
];

/**
 * The `flatrank` program. Usage errors and help end in a CommanderError instead of the process.
 * @param signal aborts the command that runs
 */
export function createProgram(signal: AbortSignal): Command {
  const program = new Command('flatrank')
    .description('Retrieval without Python: encode text, search every vector exactly, rerank the best.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', examples)
    .showHelpAfterError('(--help tells what is expected)');
  for (const create of commands) program.addCommand(create(signal));
  for (const command of [program, ...program.commands, ...program.commands.flatMap((command) => command.commands)]) {
    command.exitOverride();
    command.copyInheritedSettings(program);
  }
  return program;
}

function packageVersion(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}
