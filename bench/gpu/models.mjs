// Models on a GPU: do they give what they give on the CPU, does the GPU's memory stay level, and how fast are they beside
// sentence-transformers on the same GPU? With random weights, in the shapes of all-MiniLM-L6-v2 and klue/roberta-base.
// `node bench/gpu/models.mjs [DEVICE=cuda [ENCODES=10000]]`; scripts/gpu-models.sh runs it where there is no Node.js.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { crossEncoderBench, encodeBench } from '../encode.mjs';
import { makeTexts } from '../encode/texts.mjs';

const [device = 'cuda', encodes = '10000'] = process.argv.slice(2);
const memoryLooks = 5;
const tokenizer = fileURLToPath(new URL('../../models/box-ko-en/bi-encoder', import.meta.url));
const shapes = { '6 layers x 384': [6, 384, 12], '12 layers x 768': [12, 768, 12] };

const configOf = ([layers, hidden, heads]) => ({
  model_type: 'bert',
  vocab_size: 32000,
  hidden_size: hidden,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  intermediate_size: 4 * hidden,
  hidden_act: 'gelu',
  max_position_embeddings: 512,
  type_vocab_size: 2,
});

/** The largest difference, in parts of the largest value. */
function worst(values, expected) {
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0) / scale;
}

/** Megabytes of the GPU that are in use, or NaN where there is none. */
function usedMegabytes() {
  try {
    const command = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
    return parseInt(execFileSync('nvidia-smi', command, { encoding: 'utf8' }), 10);
  } catch {
    return NaN;
  }
}

/** What `run` gives of a model on the CPU and on the device. */
async function compared(load, run) {
  const results = [];
  for (const where of ['cpu', device]) {
    const model = await load(where);
    results.push(await run(model));
    await model.dispose();
  }
  return worst(results[1], results[0]).toExponential(1);
}

/** @param directory the model @param cross the same as a cross-encoder */
async function check(directory, cross) {
  const texts = makeTexts(300, 1, 300, 1);
  for (const pooling of ['mean', 'cls', 'max'])
    console.log(
      `embeddings (${pooling}) differ by`,
      await compared(
        (where) => SentenceTransformer.load(directory, { device: where, pooling }),
        async (model) => (await model.encode(texts, { normalize: true })).data,
      ),
    );
  console.log(
    'scores differ by',
    await compared(
      (where) => CrossEncoder.load(cross, { device: where }),
      (model) =>
        model.predict(
          texts.map((text) => [texts[0], text]),
          { activation: 'none' },
        ),
    ),
  );
  const model = await SentenceTransformer.load(directory, { device });
  const used = [usedMegabytes()];
  for (let i = 1; i <= Number(encodes); i++) {
    await model.encode(texts.slice(i % 290, (i % 290) + 1 + (i % 4)));
    if (i % Math.ceil(Number(encodes) / memoryLooks) === 0) used.push(usedMegabytes());
  }
  await model.dispose();
  console.log(`memory of the GPU in use, MB, in the course of ${encodes} encodes: ${used.join(', ')}`);
}

process.env.FLATRANK_DEVICE = device;
for (const [name, shape] of Object.entries(shapes)) {
  const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-gpu-'));
  const [directory, cross] = [path.join(folder, 'model'), path.join(folder, 'cross-encoder')];
  try {
    const model = await SentenceTransformer.initialize(configOf(shape), tokenizer, { maxSeqLength: 512 });
    await model.save(directory);
    await model.dispose();
    const reranker = await CrossEncoder.fromEncoder(directory, { maxLength: 512 });
    await reranker.save(cross);
    await reranker.dispose();
    process.env.FLATRANK_MODEL = directory;
    console.log(`\n**${name}**\n`);
    await check(directory, cross);
    console.log(`\n${await encodeBench()}\n\n${await crossEncoderBench()}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
process.exit(0); // peers end with their input
