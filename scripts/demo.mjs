// npm run demo: answers questions over this repository's own README and docs, from the package's public surface.
// FLATRANK_MODEL names a bi-encoder's directory, FLATRANK_CROSS_MODEL a cross-encoder's. Without them a tiny golden
// model shows how it runs, not how well it ranks.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CrossEncoder, Retriever, SentenceTransformer, readDocuments } from 'flatrank';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const tiny = 'test/fixtures/golden/models/tiny-bert';
const model = process.env.FLATRANK_MODEL ?? tiny;
const crossModel = process.env.FLATRANK_CROSS_MODEL ?? (model === tiny ? `${tiny}-cross` : undefined);
const questions = process.argv.slice(2);
if (questions.length === 0)
  questions.push(
    'How is a package installed without a compiler?',
    'What happens when two rows are equally far away?',
    'Which error comes back after dispose?',
  );

const timed = async (work) => {
  const started = performance.now();
  const result = await work();
  return [result, `${(performance.now() - started).toFixed(1)} ms`];
};

const encoder = await SentenceTransformer.load(model);
const crossEncoder = crossModel === undefined ? undefined : await CrossEncoder.load(crossModel);
const retriever = await Retriever.create({ encoder, ...(crossEncoder && { crossEncoder }) });

const files = ['README.md', ...readdirSync('docs').map((name) => path.join('docs', name))];
const splitFor = { maxSeqLength: encoder.maxSeqLength, countTokens: (texts) => encoder.countTokens(texts) };
const passages = [];
for (const file of files) for await (const passage of readDocuments(file, { splitFor })) passages.push(passage);
const [{ added }, addTime] = await timed(() => retriever.add(passages));
console.log(`${added} passages of ${files.length} files, encoded and indexed in ${addTime} with ${model}`);
if (model === tiny)
  console.log('The tiny test model is used: its ranking is for show. FLATRANK_MODEL=DIR takes a real one.');

for (const question of questions) {
  const [hits, time] = await timed(() =>
    crossEncoder ? retriever.retrieve(question, { crossK: 3 }) : retriever.search(question, { k: 3 }),
  );
  console.log(`\n${question}  (${time})`);
  for (const { id, score, text, metadata } of hits) {
    console.log(`  ${score.toFixed(4)}  ${id}  ${metadata.heading ?? ''}`);
    console.log(`          ${text.replace(/\s+/g, ' ').slice(0, 100)}`);
  }
}
