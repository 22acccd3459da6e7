// Models as they are kept in the repository: without ONNX files, weights in 16-bit floats, embeddings of length 1, texts of up to
// `maxLength` tokens, though fewer may have been read in training.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { writeSafetensors } from '../../dist/formats/safetensors-write.js';

export async function publish(biEncoder, crossEncoder, out, { maxLength }) {
  for (const [from, name] of [
    [biEncoder, 'bi-encoder'],
    [crossEncoder, 'cross-encoder'],
  ]) {
    const to = path.join(out, name);
    rmSync(to, { recursive: true, force: true });
    const left = new Set(['onnx', 'model.safetensors']);
    cpSync(from, to, { recursive: true, filter: (file) => !left.has(path.basename(file)) });
    await writeHalves(path.join(from, 'model.safetensors'), path.join(to, 'model.safetensors'));
    for (const [settings, key] of [
      ['tokenizer_config.json', 'model_max_length'],
      ['sentence_bert_config.json', 'max_seq_length'],
    ]) {
      const file = path.join(to, settings);
      writeFileSync(
        file,
        `${JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), [key]: maxLength }, null, 2)}\n`,
      );
    }
  }
  normalize(path.join(out, 'bi-encoder'));
}

/** Adds sentence-transformers' module Normalize, by which dot product and distance rank as cosine does. */
function normalize(directory) {
  const file = path.join(directory, 'modules.json');
  const modules = JSON.parse(readFileSync(file, 'utf8'));
  if (modules.some(({ type }) => type.endsWith('.Normalize'))) return;
  const [idx, name] = [modules.length, `${modules.length}_Normalize`];
  mkdirSync(path.join(directory, name), { recursive: true });
  writeFileSync(path.join(directory, name, 'config.json'), '{}\n');
  modules.push({ idx, name: String(idx), path: name, type: 'sentence_transformers.models.Normalize' });
  writeFileSync(file, `${JSON.stringify(modules, null, 2)}\n`);
}

async function writeHalves(from, to) {
  const source = await SafetensorsFile.open(from);
  const tensors = new Map();
  for (const [name, { shape }] of source.tensors) {
    const halves = Uint16Array.from(await source.float32(name), halfOf);
    tensors.set(name, { dtype: 'F16', shape, data: new Uint8Array(halves.buffer) });
  }
  await writeSafetensors(to, tensors);
}

const word = new DataView(new ArrayBuffer(4));

/** The bits of the 16-bit float nearest to `value`, of two that are as near the even one. Weights are far from infinity. */
function halfOf(value) {
  word.setFloat32(0, value);
  const sign = (word.getUint32(0) >>> 16) & 0x8000;
  const size = Math.abs(value);
  if (size >= 65520) throw new RangeError(`A weight of ${value} does not fit 16 bits`);
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  // A fraction that rounds up to 1 carries into the exponent, as it should.
  return sign | (((exponent + 15) << 10) + roundEven((size / 2 ** exponent - 1) * 1024));
}

function roundEven(x) {
  const low = Math.floor(x);
  const rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
