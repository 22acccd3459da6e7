// transformers.js for bench/encode.mjs, as its documentation does it: batches of 32 in the order given, padded.
import path from 'node:path';
import { createInterface } from 'node:readline';

const { env, pipeline } = await import(process.argv[2]);
let extract;
let texts;
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.do === 'load') {
    env.allowRemoteModels = false;
    env.localModelPath = path.dirname(request.model);
    extract = await pipeline('feature-extraction', path.basename(request.model), { dtype: 'fp32', device: 'cpu' });
    texts = request.texts;
    console.log('{}');
    continue;
  }
  const list = texts[request.name];
  const started = performance.now();
  for (let i = 0; i < list.length; i += 32) await extract(list.slice(i, i + 32), { pooling: 'mean', normalize: true });
  console.log(JSON.stringify({ ms: performance.now() - started }));
}
