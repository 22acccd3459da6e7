// A cross-encoder that begins as the bi-encoder. Whether two texts are alike does not show in either of them, only in products of
// what is in both, and a small model does not come upon those by itself: from a bi-encoder's body its loss stays where a
// constant's is. So it is set up by hand. One of the hidden values, that which says least, is given up to say which text a
// token is of, and attention in the layers reads it, so that tokens look at those of their own text above all, as the
// bi-encoder's do. The last layer's attention takes the mean of each text's tokens apart, its feed-forward network sums
// (w · (a + b))² − (w · (a − b))² over orthogonal directions w, which is 4 a · b (GELU(x) + GELU(−x) is a square where x is small),
// and its head reads that sum. Training goes on from there, with all weights.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { writeSafetensors } from '../../dist/formats/safetensors-write.js';
import { normals } from '../../dist/random/normal.js';
import { principalComponents } from './teacher.mjs';

/** By how much, before the softmax, a token prefers those of its own text, and the last layer's heads those of theirs. */
const [apart, means] = [6, 16];
/** How far both means stand out from what is at [CLS] besides, and how large the network's inputs are. */
const [gain, small] = [8, 0.35];

/** Writes such a cross-encoder to `to`, from the bi-encoder in `from`; `texts` are some that both know. */
export async function comparingCrossEncoder(from, to, texts, { seed, maxLength }) {
  const model = await CrossEncoder.fromEncoder(from, { numLabels: 1, seed, maxLength });
  await model.save(to);
  await model.dispose();
  rmSync(path.join(to, 'onnx'), { recursive: true });
  const file = path.join(to, 'model.safetensors');
  const weights = await read(file);
  const { hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads } = config(to);
  const pooled = (count, type, pooling = 'mean') => below(weights, to, count, { texts, type, pooling });

  const sizes = new Float32Array(hidden);
  for (let layer = 1; layer < layers; layer++)
    (await pooled(layer, 0)).data.forEach((x, i) => (sizes[i % hidden] += x * x));
  const channel = sizes.indexOf(Math.min(...sizes));
  giveUp(weights, channel, { hidden, layers });
  const level = async (layer) => (mean(await pooled(layer, 0))[channel] - mean(await pooled(layer, 1))[channel]) / 2;
  const scale = Math.sqrt(hidden / heads);
  for (let layer = 0; layer < layers - 1; layer++)
    ownText(weights, layer, channel, {
      ...{ hidden, head: hidden / heads },
      strength: Math.sqrt((apart * scale) / 2) / (layer === 0 ? 1 : await level(layer)),
    });
  compare(weights, layers - 1, {
    ...{ hidden, heads, channel, seed },
    wide: config(to).intermediate_size,
    vectors: await pooled(layers - 1, 0),
    cls: mean(await pooled(layers - 1, 0, 'cls')),
    strength: (means * scale) / 2 / (await level(layers - 1)),
  });
  await write(file, weights);
}

/** Makes one of the hidden values what the token's text is, 1 or -1 behind the first normalisation, in all layers but the last. */
function giveUp(weights, channel, { hidden, layers }) {
  const get = (name) => weights.get(`bert.${name}`).data;
  const [words, positions, types] = ['word', 'position', 'token_type'].map((of) =>
    get(`embeddings.${of}_embeddings.weight`),
  );
  types.copyWithin(hidden, 0, hidden);
  let deviation = 0;
  for (let word = 0; word < 1000; word++)
    deviation += length(words.slice((5 + word) * hidden, (6 + word) * hidden)) / Math.sqrt(hidden) / 1000;
  for (const table of [words, positions]) for (let i = channel; i < table.length; i += hidden) table[i] = 0;
  types[channel] = deviation;
  types[hidden + channel] = -deviation;
  const norms = ['embeddings.LayerNorm'];
  for (let layer = 0; layer < layers - 1; layer++) {
    const name = (part) => `encoder.layer.${layer}.${part}`;
    norms.push(name('attention.output.LayerNorm'), name('output.LayerNorm'));
    for (const part of ['attention.self.query', 'attention.self.key', 'attention.self.value', 'intermediate.dense']) {
      const read = get(name(`${part}.weight`));
      for (let i = channel; i < read.length; i += hidden) read[i] = 0;
    }
    for (const part of ['attention.output.dense', 'output.dense']) {
      const written = get(name(`${part}.weight`));
      const cols = written.length / hidden;
      written.fill(0, channel * cols, (channel + 1) * cols);
      get(name(`${part}.bias`))[channel] = 0;
    }
  }
  for (const norm of norms) {
    get(`${norm}.weight`)[channel] = norm.startsWith('embeddings') ? 1 : 1.5;
    get(`${norm}.bias`)[channel] = 0;
  }
}

/** Has each head of a layer prefer tokens of the same text, in place of the one of its values that weighs least. */
function ownText(weights, layer, channel, { hidden, head, strength }) {
  const [query, key] = ['query', 'key'].map((part) =>
    ['weight', 'bias'].map((kind) => weights.get(`bert.encoder.layer.${layer}.attention.self.${part}.${kind}`).data),
  );
  const row = (data, i) => data.subarray(i * hidden, (i + 1) * hidden);
  for (let first = 0; first < hidden; first += head) {
    const products = Array.from(
      { length: head },
      (_, i) => length(row(query[0], first + i)) * length(row(key[0], first + i)),
    );
    const least = first + products.indexOf(Math.min(...products));
    for (const [weight, bias] of [query, key]) {
      row(weight, least).fill(0)[channel] = strength;
      bias[least] = 0;
    }
  }
}

/** Has a layer and the head behind it compare the means of both texts' tokens. */
function compare(weights, layer, { hidden, heads, channel, seed, wide, vectors, cls, strength }) {
  const random = (count, name) => normals(count, 1, seed, name);
  const name = (part) => `bert.encoder.layer.${layer}.${part}`;
  const get = (part) => weights.get(name(part)).data;
  const half = hidden / 2;
  const middle = mean(vectors);
  const axes = rows(principalComponents(vectors, half - 1, vectors.rows), hidden);

  for (const part of ['query', 'key', 'value'])
    for (const kind of ['weight', 'bias']) get(`attention.self.${part}.${kind}`).fill(0);
  const bias = get('attention.self.query.bias');
  const key = get('attention.self.key.weight');
  for (let row = 0; row < hidden; row += hidden / heads) {
    bias[row] = row < half ? strength : -strength;
    key[row * hidden + channel] = 1;
  }
  const value = get('attention.self.value.weight');
  const output = get('attention.output.dense.weight').fill(0);
  axes.forEach((axis, k) => {
    for (const row of [k, half + k]) {
      value.set(axis, row * hidden);
      get('attention.self.value.bias')[row] = -dot(axis, middle);
      output[row * hidden + row] = gain;
    }
  });
  get('attention.output.dense.bias').set(cls.map((x) => -x));

  // Both values that no axis has, with opposite signs, so that no normalisation sees to their mean.
  const sum = new Float32Array(hidden);
  [sum[half - 1], sum[hidden - 1]] = [Math.SQRT1_2, -Math.SQRT1_2];
  const quarter = wide / 4;
  const into = get('intermediate.dense.weight').fill(0);
  const out = get('output.dense.weight').fill(0);
  let basis = [];
  for (let k = 0; k < quarter; k++) {
    if (basis.length === half - 1) basis = [];
    const w = without(random(half - 1, `direction ${k}`), basis);
    basis.push(w);
    [1, -1].forEach((sign, s) =>
      [1, -1].forEach((side, t) => {
        const unitRow = (2 * t + s) * quarter + k;
        w.forEach((x, i) => {
          into[unitRow * hidden + i] = small * sign * x;
          into[unitRow * hidden + half + i] = small * sign * side * x;
        });
        for (let i = 0; i < hidden; i++) out[i * wide + unitRow] = (side * 128 * sum[i]) / wide;
      }),
    );
  }
  get('intermediate.dense.bias').fill(0);
  get('output.dense.bias').fill(0);
  for (const norm of ['attention.output.LayerNorm', 'output.LayerNorm']) {
    get(`${norm}.weight`).fill(1);
    get(`${norm}.bias`).fill(0);
  }
  weights.get('bert.pooler.dense.weight').data.set(sum.map((x) => 0.2 * x));
  weights.get('bert.pooler.dense.bias').data[0] = -1;
  weights.get('classifier.weight').data[0] = 4;
}

/** (texts, hidden) token vectors pooled behind the first `layers` layers, all tokens being of one type. */
async function below(weights, directory, layers, { texts, type, pooling }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'below-'));
  try {
    for (const name of ['tokenizer.json', 'tokenizer_config.json'])
      cpSync(path.join(directory, name), path.join(folder, name));
    writeFileSync(
      path.join(folder, 'config.json'),
      JSON.stringify({ ...config(directory), num_hidden_layers: layers }),
    );
    const body = new Map();
    for (const [name, tensor] of weights)
      if (name.startsWith('bert.')) body.set(name.slice('bert.'.length), { ...tensor, data: tensor.data.slice() });
    const types = body.get('embeddings.token_type_embeddings.weight').data;
    const { hidden_size: hidden } = config(directory);
    types.copyWithin(0, type * hidden, (type + 1) * hidden);
    await write(path.join(folder, 'model.safetensors'), body);
    const model = await SentenceTransformer.load(folder, { pooling, maxSeqLength: 64 });
    const vectors = await model.encode(texts);
    await model.dispose();
    return vectors;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const config = (directory) => JSON.parse(readFileSync(path.join(directory, 'config.json'), 'utf8'));

async function read(file) {
  const source = await SafetensorsFile.open(file);
  const weights = new Map();
  for (const [name, { shape }] of source.tensors) weights.set(name, { shape, data: await source.float32(name) });
  return weights;
}

async function write(file, weights) {
  mkdirSync(path.dirname(file), { recursive: true });
  const tensors = new Map();
  for (const [name, { shape, data }] of weights)
    tensors.set(name, { dtype: 'F32', shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
  await writeSafetensors(file, tensors);
}

const length = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
function unit(x) {
  const size = length(x);
  return Float32Array.from(x, (value) => value / size);
}
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** `x` made orthogonal to unit vectors, of length 1. */
function without(x, others) {
  let rest = Float32Array.from(x);
  for (const other of others) {
    const along = dot(rest, other);
    rest = rest.map((value, i) => value - along * other[i]);
  }
  return unit(rest);
}

function mean({ data, rows: count, cols }) {
  const sums = new Float32Array(cols);
  data.forEach((value, i) => (sums[i % cols] += value / count));
  return sums;
}

function rows(data, cols) {
  return Array.from({ length: data.length / cols }, (_, i) => data.subarray(i * cols, (i + 1) * cols));
}
