import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { CrossEncoder, SentenceTransformer } from '../model/index.js';
import { compileFilter } from '../retriever/filter.js';
import { type Filter, type Hit, Retriever } from '../retriever/index.js';
import { isStore } from '../retriever/store/manifest.js';
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
  parseJson,
  rerankOption,
  verboseOption,
} from './options.js';
import { Report } from './report.js';

interface SearchCommandOptions extends InputOptions {
  rerank?: string;
  k: number;
  biK: number;
  blend: number;
  where?: Filter;
  json?: boolean;
}

type Hits = Hit<Record<string, unknown>>[];

const examples = `
With a store (a directory that 'flatrank index' made) as the first argument, the question is the second, and the model is the
store's own unless --model says where it lies. Else the question is the first, and files follow.

--where is a filter on metadata, in JSON: {"lang": "en"}, {"year": {"gte": 2020}}, {"or": [{...}, {...}]}, {"not": {...}};
conditions are eq, ne, in, gt, gte, lt, lte, exists.

Examples:
  $ flatrank search notes.store "how do I undo a commit" -k 3 --where '{"path": "notes/git.md"}'
  $ flatrank search "how do I undo a commit" notes/*.md
  $ flatrank search "no documents in a pipe" docs.jsonl.gz -m DIR --rerank CROSS_ENCODER_DIR -k 3
  $ flatrank search "error codes" data.csv --text body --id key -m DIR --json | jq '.hits[0].id'
${filesHelp}
${exitCodesHelp}`;

/** `flatrank search`: answers a question from a store or from files. */
export function searchCommand(signal: AbortSignal): Command {
  const command: Command = new Command('search')
    .usage('[options] <store> <question> | <question> <files...>')
    .description('Find the documents of a store, or of files, that answer a question, best first.')
    .argument('<first>', 'a store, or what to look for')
    .argument('<rest...>', 'what to look for, or files to look in')
    .addOption(modelOption())
    .addOption(rerankOption())
    .option('-k <n>', 'how many hits', parseCount, 10)
    .option('--bi-k <n>', 'how many candidates the cross-encoder reads', parseCount, 30)
    .option('--blend <weight>', "weight of the bi-encoder's score beside the cross-encoder's", parseFinite, 0)
    .option('--where <json>', 'look only at documents whose metadata this filter lets through', parseJson)
    .option('--json', 'print one JSON document');
  for (const option of [...inputOptions(), verboseOption()]) command.addOption(option);
  return command.addHelpText('after', examples).action(async (first: string, rest: string[], options) => {
    const checked = options as SearchCommandOptions;
    const store = await isStore(first);
    if (store && rest.length > 1) command.error(`error: one question is expected behind the store ${first}`);
    // Two words that name neither a store nor a file: which of them was meant cannot be told.
    if (!store && checked.model === undefined && rest.length === 1 && !existsSync(rest[0]!))
      command.error(`error: ${first} is no store, and there is no file ${rest[0]!} to search`);
    if (checked.where !== undefined) compileFilter(checked.where); // refused before anything is encoded
    const report = new Report(checked.verbose ?? false);
    const context = { options: checked, report, signal };
    await (store ? searchStore(first, rest[0]!, context) : searchFiles(rest, first, context));
  });
}

interface Context {
  options: SearchCommandOptions;
  report: Report;
  signal: AbortSignal;
}

/** A store, with the model that it names or the one of `--model`. */
async function searchStore(store: string, question: string, context: Context): Promise<void> {
  const { options, report, signal } = context;
  const { model } = options;
  await using encoder =
    model === undefined
      ? undefined
      : await report.load((onProgress) => SentenceTransformer.load(model, { onProgress, signal }));
  await using crossEncoder = await loadCrossEncoder(context);
  const models = { ...(encoder ? { encoder } : {}), ...(crossEncoder ? { crossEncoder } : {}) };
  await using retriever = await report.load((onProgress) =>
    Retriever.open(store, { ...models, readOnly: true, onProgress, signal }),
  );
  await answer(question, retriever, 0, context);
}

/** The documents of files, encoded in memory. */
async function searchFiles(files: readonly string[], question: string, context: Context): Promise<void> {
  const { options, report, signal } = context;
  await using encoder = await report.load((onProgress) =>
    SentenceTransformer.load(options.model, { onProgress, signal }),
  );
  await using crossEncoder = await loadCrossEncoder(context);
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
  await answer(question, retriever, truncated, context);
}

async function loadCrossEncoder({ options, report, signal }: Context): Promise<CrossEncoder | undefined> {
  const { rerank } = options;
  return rerank === undefined
    ? undefined
    : report.load((onProgress) => CrossEncoder.load(rerank, { onProgress, signal }));
}

async function answer(
  question: string,
  retriever: Retriever,
  truncated: number,
  { options, report, signal }: Context,
): Promise<void> {
  const { rerank, where, k, blend } = options;
  const biK = rerank === undefined ? k : Math.max(options.biK, k);
  const filter = where === undefined ? {} : { filter: where };
  const candidates = await report.stage('search', () => retriever.search(question, { k: biK, ...filter, signal }));
  const hits =
    rerank === undefined
      ? candidates
      : await report.stage('rerank', () => retriever.rerank(question, candidates, { k, blend, signal }));
  report.times();
  const result = { question, documents: retriever.size, truncated, timesMs: report.timesMs, hits: ranked(hits) };
  if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else if (hits.length > 0) process.stdout.write(renderHits(hits, process.stdout.columns || 80));
  else report.note('No documents were found.');
}

function ranked(hits: Hits): object[] {
  return hits.map((hit, i) => ({ rank: i + 1, ...hit }));
}
