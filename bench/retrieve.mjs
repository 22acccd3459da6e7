// Answers to five questions over real documentation with a real model, the times they take, and whether Python finds the
// same. `node bench/retrieve.mjs [--write]` prints Markdown; --write puts it into bench/results/retrieve.md.
// The model's int8 graph takes one scale a tensor, so that a text's vector depends on its batch mates: for the
// comparison both sides encode every text alone.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { readDocuments, Retriever, SentenceTransformer } from 'flatrank';
import { here, median, PythonPeer, table, timed } from './harness.mjs';

const model = '../shared/models/all-MiniLM-L6-v2-onnx-int8';
const documents = '../shared/data/docs/docs-en.jsonl.gz';
const questions = [
  'Why does my component render twice in development?',
  'How do I upload a file with FastAPI?',
  'What is the difference between String and &str in Rust?',
  'How can I roll back a Helm release to an earlier revision?',
  'How do I proxy API requests to a backend in the dev server?',
];
const k = 10;
const shown = 3;

process.chdir(path.join(here, '..'));
if (!existsSync(model) || !existsSync(documents)) {
  console.log(`skipped: ${model} and ${documents} are needed`);
  process.exit();
}

const report = [];
const say = (text = '') => {
  report.push(text);
  console.log(text);
};
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const milliseconds = (ms) => `${ms.toFixed(1)} ms`;

const encoder = await SentenceTransformer.load(model);
const texts = [];
for await (const document of readDocuments(documents)) texts.push(document);

say('# Retrieve: five questions over documentation');
say();
say('Documentation of React, FastAPI, Vue, Helm, Vite, Rust and others: the text of every record is one document. Run');
say('`node bench/retrieve.mjs --write` with the files under `../shared`, and `FLATRANK_PYTHON` naming a Python with');
say('tokenizers, onnxruntime and faiss for the comparison.');
say();
say(
  `Machine: ${cpus()[0].model.trim()}, ${cpus().length} cores, shared with other work; Node.js ${process.versions.node}.`,
);
say(
  `Model: \`${path.basename(model)}\`, ${encoder.dimension} dimensions, at most ${encoder.maxSeqLength} tokens a text.`,
);

const retriever = await Retriever.create({ encoder });
let added;
const addMs = await timed(async () => {
  added = await retriever.add(texts);
});
say();
say(
  `${added.added} documents encoded and indexed in ${seconds(addMs)} (${(added.added / (addMs / 1000)).toFixed(0)} a second),`,
);
say(`${added.truncated} of them longer than the model reads.`);
say();
say('## Answers');

for (const question of questions) {
  const times = [];
  let hits;
  for (let i = 0; i < 21; i++)
    times.push(
      await timed(async () => {
        hits = await retriever.search(question, { k });
      }),
    );
  say();
  say(`**${question}** ${milliseconds(median(times.slice(1)))}, the query's encoding included (median of 20)`);
  say();
  for (const [i, { score, id, metadata, text }] of hits.slice(0, shown).entries()) {
    const snippet = text.replace(/\s+/g, ' ').slice(0, 140);
    say(`${i + 1}. ${score.toFixed(4)} ${metadata.source}: ${metadata.title} (record ${id.split(':').at(-1)})  `);
    say(`   ${snippet.replace(/([<>`*_|[\]])/g, '\\$1')}…`);
  }
}
await retriever.dispose();

const peer = PythonPeer.start('retrieve_peer', ['tokenizers', 'onnxruntime', 'faiss', 'numpy']);
let differences = 0;
if (peer) {
  const alone = await Retriever.create({ encoder });
  await alone.add(texts, { batchTokens: 1 });
  const loaded = await peer.ask({ do: 'load', model, documents, maxSeqLength: encoder.maxSeqLength });
  say();
  say('## The same in Python');
  say();
  say(
    `tokenizers, onnxruntime ${loaded.onnxruntime} and faiss ${loaded.faiss} IndexFlatIP, every text encoded alone on`,
  );
  say('both sides. Only the ranking is compared: the two did not take turns, so their times would mean nothing.');
  say();
  const rows = [];
  for (const query of questions) {
    const ours = await alone.search(query, { k });
    const theirs = await peer.ask({ do: 'search', query, k });
    const same = ours.filter(({ id }, i) => id === theirs.ids[i]).length;
    if (same !== k) differences++;
    const apart = Math.max(...ours.map(({ score }, i) => Math.abs(score - theirs.scores[i])));
    rows.push([query, `${same} of ${k}`, apart.toExponential(1)]);
  }
  say(table([`question`, `same id at the same rank`, 'largest difference of scores'], rows));
  peer.stop();
  await alone.dispose();
}
await encoder.dispose();

if (process.argv.includes('--write')) {
  mkdirSync(path.join(here, 'results'), { recursive: true });
  writeFileSync(path.join(here, 'results', 'retrieve.md'), `${report.join('\n')}\n`);
}
if (differences > 0) process.exitCode = 1;
