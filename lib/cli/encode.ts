import { Command } from 'commander';
import type { FileDocument } from '../data/index.js';
import { FlatrankError, describe } from '../errors.js';
import { SentenceTransformer } from '../model/index.js';
import { readFiles } from './input.js';
import { npyHeader } from './npy.js';
import { exitCodesHelp, filesHelp, inputOptions, type InputOptions, modelOption, verboseOption } from './options.js';
import { OutputFiles } from './output-files.js';
import { Report } from './report.js';

interface EncodeCommandOptions extends InputOptions {
  out: string;
  normalize?: boolean;
}

/** Texts encoded in one call: bounds the vectors held. */
const windowDocuments = 1024;

const examples = `
FILE gets one row a document, in the order of the files: NumPy format 1.0, float32, C order. FILE.ids.txt gets
their ids, one a line. Both appear when all is done; what was there before stays until then.

Examples:
  $ flatrank encode docs.jsonl.gz --model models/all-MiniLM-L6-v2 --normalize --out docs.npy
  $ python -c "import numpy; print(numpy.load('docs.npy').shape)"
${filesHelp}
${exitCodesHelp}`;

/** `flatrank encode`: writes the embeddings of files. */
export function encodeCommand(signal: AbortSignal): Command {
  const command = new Command('encode')
    .description("Write the embeddings of files' documents for NumPy.")
    .argument('<files...>', 'what to encode')
    .addOption(modelOption())
    .requiredOption('-o, --out <file>', 'where to write, usually a name in .npy')
    .option('--normalize', 'scale every embedding to length 1');
  for (const option of [...inputOptions(), verboseOption()]) command.addOption(option);
  return command.addHelpText('after', examples).action(async (files: string[], options) => {
    await encode(files, options as EncodeCommandOptions, signal);
  });
}

async function encode(files: readonly string[], options: EncodeCommandOptions, signal: AbortSignal): Promise<void> {
  const report = new Report(options.verbose ?? false);
  await using model = await report.load((onProgress) =>
    SentenceTransformer.load(options.model, { onProgress, signal }),
  );
  const documents = await report.stage('read', () => readFiles(files, model, options, signal));
  const ids = idLines(documents);

  await using output = new OutputFiles();
  await output.write(`${options.out}.ids.txt`, [Buffer.from(ids)]);
  let truncated = 0;
  await report.stage('encode', () =>
    report.progress('encode', documents.length, (update) =>
      output.write(
        options.out,
        embeddings(model, documents, { normalize: options.normalize ?? false, signal, update }, (count) => {
          truncated += count;
        }),
      ),
    ),
  );
  signal.throwIfAborted();
  await output.commit();
  report.truncated(truncated, documents.length, model.maxSeqLength);
  report.note(`${documents.length} x ${model.dimension} values in ${options.out}, ids in ${options.out}.ids.txt`);
  report.times();
}

/** The bytes of the .npy file: its header, then window after window of rows. */
async function* embeddings(
  model: SentenceTransformer,
  documents: readonly FileDocument[],
  options: { normalize: boolean; signal: AbortSignal; update: (done: number) => void },
  onTruncated: (count: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { normalize, signal, update } = options;
  yield npyHeader(documents.length, model.dimension);
  for (let start = 0; start < documents.length; start += windowDocuments) {
    const texts = documents.slice(start, start + windowDocuments).map(({ text }) => text);
    const { data } = await model.encodeDocument(texts, {
      normalize,
      signal,
      onProgress: ({ done }) => {
        update(start + done);
      },
      onTruncated: ({ count }) => {
        onTruncated(count);
      },
    });
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

function idLines(documents: readonly FileDocument[]): string {
  const broken = documents.find(({ id }) => /[\r\n]/.test(id));
  if (broken)
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected ids without line breaks, as one is written a line, but received ${describe(broken.id)}`,
    );
  return documents.map(({ id }) => `${id}\n`).join('');
}
