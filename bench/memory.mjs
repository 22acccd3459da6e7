// Does memory level off? 10,000 encodes of one to four texts of random lengths, so that hardly a shape comes twice, on the
// model directory that FLATRANK_MODEL names.
import { fileURLToPath } from 'node:url';
import { SentenceTransformer } from 'flatrank';
import { table } from './harness.mjs';

export async function memoryBench(encodes = 10_000) {
  const directory = process.env.FLATRANK_MODEL;
  if (!directory) return 'Skipped: FLATRANK_MODEL names no model directory.';
  const model = await SentenceTransformer.load(directory);
  let state = 1;
  const below = (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const text = () => 'so it goes '.repeat(1 + below(16)).trim();
  const rows = [];
  for (let i = 0; i <= encodes; i++) {
    if (i % (encodes / 5) === 0) rows.push([i, (process.memoryUsage().rss / 1e6).toFixed(0)]);
    await model.encode(Array.from({ length: 1 + below(4) }, text));
  }
  await model.dispose();
  return table(['encodes', 'resident memory, MB'], rows);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await memoryBench());
