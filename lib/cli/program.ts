import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { encodeCommand } from './encode.js';
import { evaluateCommand } from './evaluate.js';
import { searchCommand } from './search.js';
import { trainCommand } from './train.js';

const examples = `
Examples:
  $ flatrank search "how do I undo a commit" notes/*.md --model models/all-MiniLM-L6-v2
  $ flatrank search "왜 렌더링이 두 번 되나요" docs.jsonl.gz --model DIR --rerank DIR -k 3 --json
  $ flatrank encode docs.jsonl --model DIR --normalize --out docs.npy
  $ flatrank evaluate data/korsts --split test --model DIR
  $ flatrank train sts data/korsts --model DIR --out tuned --epochs 4

A model is a Hugging Face directory with onnx/model.onnx and tokenizer.json. 'flatrank COMMAND --help' tells more.`;

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
  for (const command of [searchCommand(signal), encodeCommand(signal), evaluateCommand(signal), trainCommand(signal)])
    program.addCommand(command);
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride();
    command.copyInheritedSettings(program);
  }
  return program;
}

function packageVersion(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}
