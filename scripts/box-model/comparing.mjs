// A cross-encoder that begins with comparing. Whether two texts are alike does not show in either of them, only in products of
// what is in both, and a small model does not come upon those by itself: from a bi-encoder's body its loss stays where a
// constant's is. So its last layer is set up by hand: its attention takes the mean of each text's tokens apart, its
// feed-forward network sums (w · (a + b))² − (w · (a − b))² over directions w, which is 4 Σ (w · a)(w · b) (GELU(x) + GELU(−x) is a
// square where x is small), and its head reads that sum. Training goes on from there, with all weights.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { writeSafetensors } from '../../dist/formats/safetensors-write.js';
import { normals } from '../../dist/random/normal.js';
import { principalComponents } from './teacher.mjs';

/** How far the second text's tokens are set off from the first one's, and how sharply attention tells them apart. */
const [offset, sharpness] = [0.3, 4];

/** Writes such a cross-encoder to `to`, from the bi-encoder in `from`; `texts` are some that both know. */
export async function comparingCrossEncoder(from, to, texts, { seed, maxLength }) {
  const model = await CrossEncoder.fromEncoder(from, { numLabels: 1, seed, maxLength });
  await model.save(to);
  await model.dispose();
  rmSync(path.join(to, 'onnx'), { recursive: true });
  const file = path.join(to, 'model.safetensors');
  const weights = await read(file);
  const { hidden_size: hidden, num_hidden_layers: layers } = config(to);
  const random = (count, name) => normals(count, 1, seed, name);
  const types = weights.get('bert.embeddings.token_type_embeddings.weight').data;
  const direction = unit(random(hidden, 'offset'));
  for (let i = 0; i < hidden; i++) types[hidden + i] = types[i] + offset * direction[i];

  // What the last layer is given: of tokens of the first text, of the second, and at [CLS].
  const first = await below(weights, to, layers - 1, { texts, type: 0, pooling: 'mean' });
  const second = await below(weights, to, layers - 1, { texts, type: 1, pooling: 'mean' });
  const cls = mean(await below(weights, to, layers - 1, { texts, type: 0, pooling: 'cls' }));
  const [firstMean, secondMean] = [mean(first), mean(second)];
  const shift = secondMean.map((x, i) => x - firstMean[i]);
  const apart = [unit(shift)];
  apart.push(without(firstMean, apart));
  const half = hidden / 2;
  const axes = [];
  for (const axis of rows(principalComponents(first, half + 2, first.rows), hidden))
    if (axes.length < half - 1) axes.push(without(axis, [...apart, ...axes]));

  const last = `bert.encoder.layer.${layers - 1}`;
  const set = (name, value) => weights.get(`${last}.${name}`).data.set(value);
  const zeros = (name) => weights.get(`${last}.${name}`).data.fill(0);
  for (const part of ['query', 'key', 'value'])
    for (const kind of ['weight', 'bias']) zeros(`attention.self.${part}.${kind}`);
  const head = hidden / config(to).num_attention_heads;
  const gain = (Math.sqrt(head) * sharpness) / length(shift);
  const bias = weights.get(`${last}.attention.self.query.bias`).data;
  const key = weights.get(`${last}.attention.self.key.weight`).data;
  for (let row = 0; row < hidden; row += head) {
    bias[row] = row < half ? -gain : gain;
    key.set(apart[0], row * hidden);
  }
  const value = weights.get(`${last}.attention.self.value.weight`).data;
  const output = weights.get(`${last}.attention.output.dense.weight`).data.fill(0);
  axes.forEach((axis, k) => {
    for (const row of [k, half + k]) {
      value.set(axis, row * hidden);
      output[row * hidden + row] = 1;
    }
  });
  set(
    'attention.output.dense.bias',
    cls.map((x) => -x),
  );

  const wide = config(to).intermediate_size;
  const quarter = wide / 4;
  const into = weights.get(`${last}.intermediate.dense.weight`).data.fill(0);
  const out = weights.get(`${last}.output.dense.weight`).data;
  const sum = unit(centred(random(hidden, 'sum')));
  for (let k = 0; k < quarter; k++) {
    const w = unit(random(half - 1, `direction ${k}`));
    [1, -1].forEach((sign, s) =>
      [1, -1].forEach((side, t) => {
        const unitRow = (2 * t + s) * quarter + k;
        w.forEach((x, i) => {
          into[unitRow * hidden + i] = 0.5 * sign * x;
          into[unitRow * hidden + half + i] = 0.5 * sign * side * x;
        });
        for (let i = 0; i < hidden; i++) out[i * wide + unitRow] = (side * 64 * sum[i]) / wide;
      }),
    );
  }
  zeros('intermediate.dense.bias');
  zeros('output.dense.bias');
  for (const norm of ['attention.output.LayerNorm', 'output.LayerNorm']) {
    weights.get(`${last}.${norm}.weight`).data.fill(1);
    zeros(`${norm}.bias`);
  }
  weights.get('bert.pooler.dense.weight').data.set(sum.map((x) => 0.25 * x));
  weights.get('bert.pooler.dense.bias').data[0] = -0.7;
  weights.get('classifier.weight').data[0] = 2;
  await write(file, weights);
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

function centred(x) {
  const average = x.reduce((sum, value) => sum + value, 0) / x.length;
  return Float32Array.from(x, (value) => value - average);
}

function mean({ data, rows: count, cols }) {
  const sums = new Float32Array(cols);
  data.forEach((value, i) => (sums[i % cols] += value / count));
  return sums;
}

function rows(data, cols) {
  return Array.from({ length: data.length / cols }, (_, i) => data.subarray(i * cols, (i + 1) * cols));
}
