// How fast are texts encoded? Against sentence-transformers (torch) and transformers.js, on the model directory that
// FLATRANK_MODEL names: an ONNX directory that also holds its model.safetensors, for torch.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { SentenceTransformer } from 'flatrank';
import { Peer, compare, interleave, table, timed } from './harness.mjs';

const words = `the model reads a text and gives a vector that stands for what it says so that two texts about the same
thing lie close together while others lie far apart search finds the nearest rows of an index by distance and a second
model reads question and answer side by side to order the few best again`.split(/\s+/);

/** Texts of `least` to `most` words, reproducible. */
function makeTexts(count, least, most, seed) {
  let state = seed;
  const below = (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: least + below(most - least + 1) }, () => words[below(words.length)]).join(' '),
  );
}

const texts = {
  'one query of 6 words': makeTexts(1, 6, 6, 1),
  '256 sentences of 5 to 25 words': makeTexts(256, 5, 25, 2),
  '64 abstracts of 120 to 200 words': makeTexts(64, 120, 200, 3),
  '128 texts of 5 to 200 words, mixed': makeTexts(128, 5, 200, 4),
};

export async function encodeBench() {
  const directory = process.env.FLATRANK_MODEL;
  if (!directory) return 'Skipped: FLATRANK_MODEL names no model directory.';
  const model = await SentenceTransformer.load(directory);
  const peers = {};
  if (existsSync(path.join(directory, 'model.safetensors')))
    peers['sentence-transformers'] = Peer.python('encode_peer', ['sentence_transformers']);
  else console.log('skipped: sentence-transformers (FLATRANK_MODEL holds no model.safetensors for torch)');
  peers['transformers.js'] = Peer.node('encode_peer', '@huggingface/transformers');
  for (const peer of Object.values(peers)) await peer?.ask({ do: 'load', model: path.resolve(directory), texts });

  const rows = [];
  for (const [name, list] of Object.entries(texts)) {
    const contestants = { flatrank: () => timed(() => model.encode(list)) };
    for (const [peerName, peer] of Object.entries(peers))
      if (peer) contestants[peerName] = async () => (await peer.ask({ do: 'encode', name })).ms;
    const result = await interleave(contestants, list.length === 1 ? 31 : 5);
    rows.push([
      name,
      ...compare(result.flatrank, result['sentence-transformers']),
      ...compare(result.flatrank, result['transformers.js']).slice(1),
    ]);
  }
  for (const peer of Object.values(peers)) peer?.stop();
  await model.dispose();
  return table(['texts', 'flatrank, ms', 'sentence-transformers, ms', 'ratio', 'transformers.js, ms', 'ratio'], rows);
}
