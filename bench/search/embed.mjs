// Real embeddings for the search bench: the documentation set under ../shared/data/docs through the model directory that
// FLATRANK_MODEL names, into the folder FLATRANK_EMBEDDINGS (rows.f32 and, of the titles, queries.f32). Does at most
// --limit texts (1000) a run and goes on where the last run ended, so that it can be run in pieces.
import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { SentenceTransformer } from 'flatrank';
import { here } from '../harness.mjs';

const { values } = parseArgs({ options: { limit: { type: 'string', default: '1000' } } });
const folder = process.env.FLATRANK_EMBEDDINGS;
const records = ['docs-en', 'tldr-en'].flatMap((name) =>
  gunzipSync(readFileSync(path.join(here, '../../shared/data/docs', `${name}.jsonl.gz`)))
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line)),
);
const titles = [...new Set(records.map(({ title }) => title))].filter(Boolean);
const lists = {
  'queries.f32': Array.from({ length: 1024 }, (_, i) => titles[Math.floor((i * titles.length) / 1024)]),
  'rows.f32': records.map(({ text }) => text),
};

const model = await SentenceTransformer.load(process.env.FLATRANK_MODEL);
let left = Number(values.limit);
for (const [name, texts] of Object.entries(lists)) {
  const file = path.join(folder, name);
  let done = existsSync(file) ? statSync(file).size / 4 / model.dimension : 0;
  while (done < texts.length && left > 0) {
    const batch = texts.slice(done, done + Math.min(left, 250));
    const { data } = await model.encode(batch, { normalize: true });
    appendFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    done += batch.length;
    left -= batch.length;
    console.log(`${name}: ${done} of ${texts.length}`);
  }
}
await model.dispose();
