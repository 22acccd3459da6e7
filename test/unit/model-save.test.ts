import { existsSync, statSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decodeOnnx } from '../../dist/formats/onnx-decode.js';
import { encodeOnnx } from '../../dist/formats/onnx-encode.js';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { writeSafetensors } from '../../dist/formats/safetensors-write.js';
import { copyOf, copyWithOnly, edit, expectCode } from './model-directories.js';

const text = '늦은 밤 해변에서 간호사가 눈을 치우고 있다.';
const pairs = [['a question', 'a document']] as const;

async function folder(under = tmpdir()): Promise<string> {
  const path = await mkdtemp(join(under, 'flatrank-save-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function encode(directory: string): Promise<Float32Array> {
  await using model = await SentenceTransformer.load(directory);
  return await model.encode(text);
}

async function predict(directory: string): Promise<Float32Array> {
  await using model = await CrossEncoder.load(directory);
  return await model.predict(pairs);
}

/** Moves the tensors of the ONNX file in `directory` into the file `location` beside it. */
async function moveTensors(directory: string, location: string): Promise<void> {
  const path = join(directory, 'onnx', 'model.onnx');
  const model = decodeOnnx(await readFile(path), path);
  const parts: Uint8Array[] = [];
  let offset = 0;
  const initializers = model.graph.initializers.map((tensor) => {
    const { data } = tensor;
    if (!data || tensor.type !== 'float32') return tensor;
    parts.push(data);
    const external = { location, offset, byteLength: data.length };
    offset += data.length;
    return { ...tensor, data: undefined, external };
  });
  const file = join(directory, 'onnx', location);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, Buffer.concat(parts));
  await writeFile(path, Buffer.concat(encodeOnnx({ ...model, graph: { ...model.graph, initializers } })));
}

/** Writes the checkpoint of `directory` as `model-00001-of-00001.safetensors`, or another name, with its index. */
async function shard(directory: string, name = 'model-00001-of-00001.safetensors'): Promise<void> {
  const path = join(directory, 'model.safetensors');
  const { tensors } = await SafetensorsFile.open(path);
  await rename(path, join(directory, name));
  const map = Object.fromEntries([...tensors.keys()].map((tensor) => [tensor, name]));
  await writeFile(`${path}.index.json`, JSON.stringify({ weight_map: map }));
}

describe('saving over another model', () => {
  it('leaves nothing of it that would be read, and all else', async () => {
    const target = await copyOf('tiny-bert');
    await shard(target);
    for (const name of ['special_tokens_map.json', 'vocab.txt', 'README.md', 'onnx/model_quantized.onnx'])
      await writeFile(join(target, name), 'of the other model');
    const source = await copyWithOnly('tiny-roberta', 'checkpoint');
    const before = await encode(source);
    await using model = await SentenceTransformer.load(source);
    await model.save(target);
    expect(await encode(target)).toEqual(before);
    const left = await readdir(target);
    expect(left).toContain('README.md');
    for (const name of ['special_tokens_map.json', 'vocab.txt', 'model-00001-of-00001.safetensors'])
      expect(left).not.toContain(name);
    expect(left).not.toContain('model.safetensors.index.json');
    expect(await readdir(join(target, 'onnx'))).toEqual(['model.onnx']);
  });

  it('keeps the checkpoint of an architecture that is not known, beside its graph', async () => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'config.json', (json) => ({ ...json, model_type: 'deberta-v2' }));
    const weights = await readFile(join(directory, 'model.safetensors'));
    await using model = await SentenceTransformer.load(directory);
    await model.save(directory);
    expect((await readFile(join(directory, 'model.safetensors'))).equals(weights)).toBe(true);
  });

  it('takes a directory on another disk', async ({ skip }) => {
    const other = '/dev/shm';
    if (!existsSync(other) || statSync(other).dev === statSync(tmpdir()).dev) skip('there is one disk only');
    const link = join(await folder(), 'link');
    await symlink(await folder(other), link);
    const source = await copyOf('tiny-bert');
    await using model = await SentenceTransformer.load(source);
    await model.save(link);
    expect(await encode(link)).toEqual(await encode(source));
  });
});

describe('a model that is saved once more', () => {
  it('has its own weights after it was saved in place', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    await using model = await CrossEncoder.fromEncoder(directory);
    await model.save(directory);
    const second = await folder();
    await model.save(second);
    expect(await predict(second)).toEqual(await model.predict(pairs));
  });

  it('has its own weights after another model was saved in its place', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    const before = await encode(directory);
    await using model = await SentenceTransformer.load(directory);
    const config = JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'));
    await using other = await SentenceTransformer.initialize(config, directory, { seed: 1 });
    await other.save(directory);
    expect(await encode(directory)).not.toEqual(before);
    const second = await folder();
    await model.save(second);
    expect(await encode(second)).toEqual(before);
  });

  it('is found after the working directory changed', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    const before = process.cwd();
    await using model = await SentenceTransformer.load(relative(before, directory));
    const target = await folder();
    process.chdir(target);
    onTestFinished(() => {
      process.chdir(before);
    });
    await model.save(join(target, 'saved'));
    expect(await encode(join(target, 'saved'))).toEqual(await encode(directory));
  });
});

it('a file that took the place of a checkpoint is not read as the one that was opened', async () => {
  const directory = await copyOf('tiny-bert');
  const path = join(directory, 'model.safetensors');
  const opened = await SafetensorsFile.open(path);
  const held = await SafetensorsFile.open(path);
  await held.hold();
  const name = [...opened.tensors.keys()][0]!;
  const before = await opened.float32(name);
  await writeSafetensors(`${path}.new`, new Map());
  await rename(`${path}.new`, path);
  expect(await held.float32(name)).toEqual(before);
  await expectCode(opened.float32(name), 'ERR_BAD_FILE', /another file/);
});

describe('data beside a graph', () => {
  it.each(['weights.bin', 'model.onnx.data', 'sub/model_weights'])('%s is saved with it', async (location) => {
    const directory = await copyWithOnly('tiny-bert', 'onnx');
    const before = await encode(directory);
    await moveTensors(directory, location);
    await using model = await SentenceTransformer.load(directory);
    const target = join(await folder(), 'saved');
    await model.save(target);
    expect(await encode(target)).toEqual(before);
    const fingerprint = await model.fingerprint();
    const data = join(directory, 'onnx', location);
    await writeFile(data, (await readFile(data)).fill(0, 0, 64));
    expect(await model.fingerprint()).not.toBe(fingerprint);
  });

  it('outside its folder is refused', async () => {
    const directory = await copyWithOnly('tiny-bert', 'onnx');
    await moveTensors(directory, '../weights.bin');
    await expectCode(SentenceTransformer.load(directory), 'ERR_BAD_FILE');
  });
});

describe('fingerprint', () => {
  async function fingerprint(directory: string): Promise<string> {
    await using model = await SentenceTransformer.load(directory);
    return await model.fingerprint();
  }

  it.each<[string, string, (json: any) => unknown]>([
    ['an activation', 'config.json', (json) => ({ ...json, hidden_act: 'relu' })],
    ['heads', 'config.json', (json) => ({ ...json, num_attention_heads: 1 })],
    ['an epsilon', 'config.json', (json) => ({ ...json, layer_norm_eps: 0.1 })],
    ['a default prompt', 'config_sentence_transformers.json', (json) => ({ ...json, default_prompt_name: 'query' })],
  ])('is another one with %s', async (_, file, change) => {
    const [one, two] = [await copyWithOnly('tiny-bert', 'checkpoint'), await copyWithOnly('tiny-bert', 'checkpoint')];
    for (const directory of [one, two])
      await writeFile(join(directory, 'config_sentence_transformers.json'), '{ "prompts": { "query": "q: " } }');
    await edit(two, file, change);
    expect(await fingerprint(one)).not.toBe(await fingerprint(two));
  });

  it('is the same for a copy, and looks into shards of any name', async () => {
    const [one, two] = [await copyWithOnly('tiny-bert', 'checkpoint'), await copyWithOnly('tiny-bert', 'checkpoint')];
    expect(await fingerprint(one)).toBe(await fingerprint(two));
    await shard(one, 'part.safetensors');
    const before = await fingerprint(one);
    await copyFile(join(await copyOf('tiny-bert-cross'), 'model.safetensors'), join(one, 'part.safetensors'));
    await expect(fingerprint(one)).rejects.toThrow();
    await copyFile(join(two, 'model.safetensors'), join(one, 'part.safetensors'));
    expect(await fingerprint(one)).toBe(before);
  });
});

describe('settings of a sentence model', () => {
  it('are not those of a new head on it', async () => {
    const directory = await copyOf('tiny-bert');
    await writeFile(
      join(directory, 'config_sentence_transformers.json'),
      '{ "prompts": { "query": "q: " }, "default_prompt_name": "query" }',
    );
    await edit(directory, 'sentence_bert_config.json', (json) => ({ ...json, max_seq_length: 16 }));
    await edit(directory, 'tokenizer_config.json', (json) => ({ ...json, model_max_length: 100 }));
    await using model = await CrossEncoder.fromEncoder(directory, { seed: 1 });
    expect(model.maxLength).toBe(100);
    expect(await model.predict(pairs)).toEqual(await model.predict(pairs, { prompt: '' }));
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['tokenizer_args', { tokenizer_args: { model_max_length: 6 } }, 6],
    ['processor_kwargs', { processor_kwargs: { model_max_length: 7 } }, 7],
    ['processing_kwargs', { processing_kwargs: { text: { max_length: 5, truncation: true } } }, 5],
  ])('%s count, as in Python', async (_, settings, expected) => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'sentence_bert_config.json', (json) => ({ ...json, ...settings }));
    await using model = await SentenceTransformer.load(directory);
    expect(model.maxSeqLength).toBe(expected);
  });

  it('that cut queries and documents at lengths of their own are refused', async () => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'sentence_bert_config.json', (json) => ({ ...json, query_length: 5 }));
    await expectCode(SentenceTransformer.load(directory), 'ERR_UNSUPPORTED', /query_length/);
  });
});

describe('weights that are not read here are told:', () => {
  it('a pickle', async () => {
    const directory = await copyOf('tiny-bert');
    await rm(join(directory, 'onnx'), { recursive: true });
    await rename(join(directory, 'model.safetensors'), join(directory, 'pytorch_model.bin'));
    await expectCode(SentenceTransformer.load(directory), 'ERR_NOT_FOUND', /only pytorch_model\.bin/);
  });

  it('a pointer of Git LFS', async () => {
    const directory = await copyOf('tiny-bert');
    await writeFile(join(directory, 'model.safetensors'), 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n');
    await expectCode(SentenceTransformer.load(directory), 'ERR_BAD_FILE', /git lfs pull/);
  });
});
