import { Command } from 'commander';
import { CrossEncoder, SentenceTransformer } from '../model/index.js';
import { Retriever, type Hit } from '../retriever/index.js';
import { renderHits } from './hits.js';
import { readFiles } from './input.js';
import {
  exitCodesHelp,
  filesHelp,
  inputOptions,
  type InputOptions,
  modelOption,
  parseCount,
  parseFinite,
  verboseOption,
} from './options.js';
import { Report } from './report.js';

interface SearchCommandOptions extends InputOptions {
  rerank?: string;
  k: number;
  biK: number;
  blend: number;
  json?: boolean;
}

type Hits = Hit<Record<string, unknown>>[];

const examples = `
Examples:
  $ flatrank search "how do I undo a commit" notes/*.md -m models/all-MiniLM-L6-v2
  $ flatrank search "no documents in a pipe" docs.jsonl.gz -m DIR --rerank CROSS_ENCODER_DIR -k 3
  $ flatrank search "error codes" data.csv --text body --id key -m DIR --json | jq '.hits[0].id'
${filesHelp}
${exitCodesHelp}`;

/** `flatrank search`: answers a question from files. */
export function searchCommand(signal: AbortSignal): Command {
  const command = new Command('search')
    .description('Find the documents of files that answer a question, best first.')
    .argument('<question>', 'what to look for')
    .argument('<files...>', 'what to look in')
    .addOption(modelOption())
    .option('-r, --rerank <dir>', 'directory of a cross-encoder that orders the best candidates anew')
    .option('-k <n>', 'how many hits', parseCount, 10)
    .option('--bi-k <n>', 'how many candidates the cross-encoder reads', parseCount, 30)
    .option('--blend <weight>', "weight of the bi-encoder's score beside the cross-encoder's", parseFinite, 0)
    .option('--json', 'print one JSON document');
  for (const option of [...inputOptions(), verboseOption()]) command.addOption(option);
  return command.addHelpText('after', examples).action(async (question: string, files: string[], options) => {
    await search(question, files, options as SearchCommandOptions, signal);
  });
}

async function search(
  question: string,
  files: readonly string[],
  options: SearchCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const report = new Report(options.verbose ?? false);
  await using encoder = await report.stage('load', () => SentenceTransformer.load(options.model, { signal }));
  const { rerank } = options;
  await using crossEncoder =
    rerank === undefined ? undefined : await report.stage('load', () => CrossEncoder.load(rerank, { signal }));
  await using retriever = await Retriever.create({ encoder, ...(crossEncoder ? { crossEncoder } : {}) });

  const documents = await report.stage('read', () => readFiles(files, encoder, options, signal));
  const { truncated } = await report.stage('encode', () =>
    report.progress('encode', documents.length, (update) =>
      retriever.add(documents, {
        signal,
        onProgress: ({ done }) => {
          update(done);
        },
      }),
    ),
  );
  report.truncated(truncated, documents.length, encoder.maxSeqLength);

  const biK = crossEncoder ? Math.max(options.biK, options.k) : options.k;
  const candidates = await report.stage('search', () => retriever.search(question, { k: biK, signal }));
  const { k, blend } = options;
  const hits = crossEncoder
    ? await report.stage('rerank', () => retriever.rerank(question, candidates, { k, blend, signal }))
    : candidates;

  report.times();
  const result = { question, documents: documents.length, truncated, timesMs: report.timesMs, hits: ranked(hits) };
  if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else if (hits.length > 0) process.stdout.write(renderHits(hits, process.stdout.columns || 80));
  else report.note('There are no documents in these files.');
}

function ranked(hits: Hits): object[] {
  return hits.map((hit, i) => ({ rank: i + 1, ...hit }));
}
