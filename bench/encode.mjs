// How fast are texts encoded, and pairs scored? Against sentence-transformers (torch), transformers.js and our own model as a
// padded ONNX graph, on the checkpoint that FLATRANK_MODEL names. `node bench/encode.mjs sentences` measures the texts with that
// word in their name only. With FLATRANK_DEVICE=cuda on a GPU, as sentence-transformers then, and without what runs on the CPU alone.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { benchTexts, makeTexts } from './encode/texts.mjs';
import { Peer, compareSpread, interleaveAll, table, timed } from './harness.mjs';

/** Times that everything is encoded. */
const rounds = 11;

/** Runs `use` with a folder of models made from the checkpoint: `full` for the peers, and `padded` without the checkpoint. */
async function withModels(directory, use) {
  const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-bench-'));
  const full = path.join(folder, 'full');
  const padded = path.join(folder, 'padded');
  const cross = path.join(folder, 'cross');
  try {
    const model = await SentenceTransformer.load(directory, { maxSeqLength: 512 });
    await model.save(full);
    await model.dispose();
    cpSync(full, padded, { recursive: true });
    rmSync(path.join(padded, 'model.safetensors'));
    const reranker = await CrossEncoder.fromEncoder(directory, { maxLength: 512 });
    await reranker.save(cross);
    await reranker.dispose();
    return await use({ full, padded, cross });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Our times of each group, and those of `others` beside them. */
function compareTable(title, results, others) {
  const rows = Object.entries(results).map(([name, { flatrank, ...rest }]) => [
    name,
    compareSpread(flatrank)[0],
    ...others.flatMap((which) => compareSpread(flatrank, rest[which]).slice(1)),
  ]);
  return table([title, 'flatrank, ms', ...others.flatMap((which) => [`${which}, ms`, 'ratio'])], rows);
}

const deviceOf = () => process.env.FLATRANK_DEVICE ?? 'cpu';

const noModel = 'Skipped: FLATRANK_MODEL names no model directory.';

/** @param only a word in the name of what is to be encoded */
export async function encodeBench(only = '') {
  const directory = process.env.FLATRANK_MODEL;
  if (!directory) return noModel;
  return withModels(directory, async ({ full, padded }) => {
    const texts = await benchTexts();
    const device = deviceOf();
    const models = {
      flatrank: await SentenceTransformer.load(full, { device }),
      ...(device === 'cpu' && { 'flatrank int8': await SentenceTransformer.load(full, { precision: 'int8' }) }),
      'padded graph': await SentenceTransformer.load(padded, { device }),
    };
    const peers = {
      'sentence-transformers': Peer.python('encode_peer', ['sentence_transformers']),
      ...(device === 'cpu' && { 'transformers.js': Peer.node('encode_peer', '@huggingface/transformers') }),
    };
    for (const peer of Object.values(peers)) await peer?.ask({ do: 'load', model: full, texts, device });
    const others = [...Object.keys(models).slice(1), ...Object.keys(peers)];
    const groups = {};
    for (const [name, list] of Object.entries(texts).filter(([name]) => name.includes(only))) {
      groups[name] = {};
      for (const [which, model] of Object.entries(models)) groups[name][which] = () => timed(() => model.encode(list));
      for (const [which, peer] of Object.entries(peers))
        if (peer) groups[name][which] = async () => (await peer.ask({ do: 'encode', name })).ms;
    }
    const results = await interleaveAll(groups, rounds);
    for (const peer of Object.values(peers)) peer?.stop();
    for (const model of Object.values(models)) await model.dispose();
    return compareTable('texts', results, others);
  });
}

export async function crossEncoderBench() {
  const directory = process.env.FLATRANK_MODEL;
  if (!directory) return noModel;
  return withModels(directory, async ({ cross }) => {
    const [query] = makeTexts(1, 8, 8, 5);
    const sets = {
      '30 pairs of up to 512 tokens': makeTexts(30, 60, 500, 6).map((text) => [query, text]),
      '30 pairs of up to 160 tokens': makeTexts(30, 20, 150, 7).map((text) => [query, text]),
    };
    const device = deviceOf();
    const models = {
      flatrank: await CrossEncoder.load(cross, { device }),
      ...(device === 'cpu' && { 'flatrank int8': await CrossEncoder.load(cross, { precision: 'int8' }) }),
    };
    const peer = Peer.python('encode_peer', ['sentence_transformers']);
    await peer?.ask({ do: 'load-cross-encoder', model: cross, texts: sets, device });
    const groups = {};
    for (const [name, pairs] of Object.entries(sets)) {
      groups[name] = {};
      for (const [which, model] of Object.entries(models))
        groups[name][which] = () => timed(() => model.predict(pairs));
      if (peer) groups[name]['sentence-transformers'] = async () => (await peer.ask({ do: 'predict', name })).ms;
    }
    const results = await interleaveAll(groups, rounds);
    peer?.stop();
    for (const model of Object.values(models)) await model.dispose();
    return compareTable('pairs', results, [...Object.keys(models).slice(1), 'sentence-transformers']);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [only] = process.argv.slice(2);
  console.log(await encodeBench(only));
  if (!only) console.log(`\n${await crossEncoderBench()}`);
  process.exit(0); // peers end with their input; nothing is waited for
}
