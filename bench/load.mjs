// What does a large encoder cost to make, save, load and run, in time and memory? A random one of the shape of
// klue/roberta-base (12 x 768, 32,000 words): no download is needed. The tokenizer is the one of the model directory that
// FLATRANK_MODEL names.
import { spawnSync } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SentenceTransformer } from 'flatrank';
import { table } from './harness.mjs';

const config = {
  model_type: 'roberta',
  vocab_size: 32_000,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  max_position_embeddings: 514,
  type_vocab_size: 1,
  pad_token_id: 1,
};
const text = 'a text of a few words that a model of this size reads in a moment';

/** One step in a process of its own, so that its peak memory is its own. */
const steps = {
  async 'nothing: node, addon and onnxruntime loaded'() {
    await import('onnxruntime-node');
  },
  async 'initialize and save'(directory, tokenizer) {
    const model = await SentenceTransformer.initialize(config, tokenizer, { maxSeqLength: 512 });
    await model.save(directory);
    await model.dispose();
  },
  async 'load, float32, and encode'(directory) {
    const model = await SentenceTransformer.load(directory);
    await model.encode(text);
    await model.dispose();
  },
  async 'load, int8, and encode'(directory) {
    const model = await SentenceTransformer.load(directory, { precision: 'int8' });
    await model.encode(text);
    await model.dispose();
  },
};

export async function loadBench() {
  const tokenizer = process.env.FLATRANK_MODEL;
  if (!tokenizer) return 'Skipped: FLATRANK_MODEL names no model directory.';
  const directory = path.join(await mkdtemp(path.join(tmpdir(), 'flatrank-bench-')), 'model');
  try {
    const rows = [];
    for (const name of Object.keys(steps)) {
      const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), name, directory, tokenizer], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      if (child.status !== 0) throw new Error(`${name}: exit status ${child.status ?? child.signal}`);
      rows.push({ name, ...JSON.parse(child.stdout) });
    }
    const bytes = statSync(path.join(directory, 'model.safetensors')).size;
    const base = rows[0].peakBytes;
    return table(
      ['step', 'seconds', 'peak memory, MB', 'above the first row, in sizes of model.safetensors'],
      rows.map(({ name, ms, peakBytes }) => [
        name,
        (ms / 1000).toFixed(2),
        (peakBytes / 1e6).toFixed(0),
        ((peakBytes - base) / bytes).toFixed(2),
      ]),
    );
  } finally {
    rmSync(path.dirname(directory), { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [step, directory, tokenizer] = process.argv.slice(2);
  if (step === undefined) console.log(await loadBench());
  else {
    const started = performance.now();
    await steps[step](directory, tokenizer);
    const ms = performance.now() - started;
    console.log(JSON.stringify({ ms, peakBytes: process.resourceUsage().maxRSS * 1024 }));
  }
}
