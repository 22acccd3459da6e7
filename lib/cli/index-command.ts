import { normalize } from 'node:path';
import { Command } from 'commander';
import { readDocuments } from '../data/index.js';
import { SentenceTransformer } from '../model/index.js';
import { documentCounter } from '../retriever/document-counter.js';
import { Retriever, type SplitTextOptions } from '../retriever/index.js';
import { isStore, readManifest } from '../retriever/store/manifest.js';
import { loadModel } from '../retriever/store/model.js';
import { indexFiles, type Indexed } from './index-files.js';
import { KnownVectors } from './known-vectors.js';
import {
  exitCodesHelp,
  filesHelp,
  inputOptions,
  type InputOptions,
  modelOption,
  parseCount,
  verboseOption,
} from './options.js';
import { Report } from './report.js';

interface IndexCommandOptions extends InputOptions {
  out: string;
  split?: boolean;
  overlap?: number;
  json?: boolean;
}

const examples = `
STORE becomes a directory that 'flatrank search' and Retriever.open read, or is brought up to date: documents are compared
by their content, only texts that the store does not have are encoded, and documents that these files do not have any more
are removed. Documents of other files stay. A store that is there has its own model, which --model only says the place of. An
interrupted run is gone on with by the next one.

Examples:
  $ flatrank index notes/*.md docs.jsonl.gz --out notes.store
  $ flatrank search notes.store "how do I undo a commit" -k 3
  $ flatrank index docs.jsonl -m DIR --out docs.store --overlap 32
${filesHelp}
${exitCodesHelp}`;

/** `flatrank index`: makes a store of files, or brings one up to date. */
export function indexCommand(signal: AbortSignal): Command {
  const command = new Command('index')
    .description("Keep a store of files' documents: encodes what changed since the last time.")
    .argument('<files...>', 'what to index')
    .addOption(modelOption())
    .requiredOption('-o, --out <store>', 'directory of the store')
    .option('--split', 'split records that are longer than the model reads into passages')
    .option('--overlap <tokens>', 'split, with as many tokens that neighbouring passages share', parseCount)
    .option('--json', 'print one JSON document');
  for (const option of [...inputOptions(), verboseOption()]) command.addOption(option);
  return command.addHelpText('after', examples).action(async (files: string[], options) => {
    await index([...new Set(files.map((file) => normalize(file)))], options as IndexCommandOptions, signal);
  });
}

async function index(files: readonly string[], options: IndexCommandOptions, signal: AbortSignal): Promise<void> {
  const report = new Report(options.verbose ?? false);
  const { out, overlap } = options;
  const split: SplitTextOptions | undefined = overlap === undefined ? (options.split ? {} : undefined) : { overlap };
  const stored = (await isStore(out)) ? (await readManifest(out)).model : undefined;
  await using encoder = await report.load((onProgress) =>
    stored?.source && options.model === undefined
      ? loadModel(out, stored, { onProgress, signal })
      : SentenceTransformer.load(options.model, { onProgress, signal }),
  );
  const vectors = new KnownVectors(encoder);
  const opened = (): Promise<Retriever> => Retriever.open(out, { encoder: vectors.encoder() });
  const made = async (): Promise<Retriever> => {
    await using empty = await Retriever.create({ encoder });
    await empty.save(out, { signal });
    return await opened();
  };
  const existing = stored && (await opened());
  let opening = existing && Promise.resolve(existing);
  const open = (): Promise<Retriever> => (opening ??= made());
  let indexed: Indexed;
  let size: number;
  try {
    const reading = { textField: options.text, idField: options.id, splitFor: documentCounter(encoder, signal) };
    indexed = await report.stage('index', () =>
      report.count('encode', (update) =>
        indexFiles({ existing, open }, files, {
          read: (file) => readDocuments(file, reading),
          vectors,
          signal,
          onProgress: ({ done }) => {
            update(done);
          },
          ...(split ? { split } : {}),
        }),
      ),
    );
    ({ size } = await open());
  } finally {
    await (await opening?.catch(() => undefined))?.dispose();
  }
  report.truncated(indexed.truncated, indexed.encoded, encoder.maxSeqLength);
  report.times();
  const { documents, encoded, moved, unchanged, removed } = indexed;
  if (options.json)
    process.stdout.write(`${JSON.stringify({ store: out, size, ...indexed, timesMs: report.timesMs }, null, 2)}\n`);
  else
    process.stdout.write(
      `${documents} documents: ${encoded} encoded, ${moved} moved, ${unchanged} unchanged, ${removed} removed; ${size} in ${out}\n`,
    );
}
