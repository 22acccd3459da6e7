import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { copyOf, copyWithOnly, expectCode } from './model-directories.js';

const config = {
  model_type: 'bert',
  vocab_size: 451,
  hidden_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 96,
  max_position_embeddings: 64,
  initializer_range: 0.05,
  own_key: 'kept',
};

const json = async (...path: string[]): Promise<any> => JSON.parse(await readFile(join(...path), 'utf8'));

describe('a model with random weights', () => {
  it('is what its configuration says, and the same for the same seed', async () => {
    const tokenizer = await copyOf('tiny-bert');
    await using a = await SentenceTransformer.initialize(config, tokenizer, {
      seed: 3,
      pooling: 'max',
      maxSeqLength: 32,
    });
    await using b = await SentenceTransformer.initialize(config, tokenizer, { seed: 3, pooling: 'max' });
    await using c = await SentenceTransformer.initialize(config, tokenizer, { seed: 4, pooling: 'max' });
    expect([a.dimension, a.maxSeqLength, b.maxSeqLength]).toEqual([48, 32, 64]);
    const x = await a.encode('늦은 밤');
    expect(await b.encode('늦은 밤')).toEqual(x);
    expect(await c.encode('늦은 밤')).not.toEqual(x);
  });

  it('has weights of the deviation asked for, zero biases and padding, and norms that do nothing', async () => {
    const tokenizer = await copyOf('tiny-bert');
    await using model = await SentenceTransformer.initialize(config, tokenizer);
    const out = join(tokenizer, 'out');
    await model.save(out);
    const file = await SafetensorsFile.open(join(out, 'model.safetensors'));
    const word = await file.float32('embeddings.word_embeddings.weight');
    expect(word.subarray(0, 48).every((x) => x === 0)).toBe(true);
    const values = word.subarray(48);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
    expect(Math.abs(mean)).toBeLessThan(0.002);
    expect(deviation).toBeCloseTo(0.05, 3);
    // Three standard deviations hold all but 27 of 10,000 values.
    const outside = values.filter((x) => Math.abs(x) > 0.15).length / values.length;
    expect(outside).toBeGreaterThan(1e-3);
    expect(outside).toBeLessThan(5e-3);
    expect(new Set(await file.float32('encoder.layer.1.output.LayerNorm.weight'))).toEqual(new Set([1]));
    expect(new Set(await file.float32('encoder.layer.1.output.dense.bias'))).toEqual(new Set([0]));
    expect(await json(out, 'config.json')).toMatchObject({
      own_key: 'kept',
      architectures: ['BertModel'],
      dtype: 'float32',
    });
  });

  it('refuses what it cannot make', async () => {
    const tokenizer = await copyOf('tiny-bert');
    const make = (change: object, directory = tokenizer) =>
      SentenceTransformer.initialize({ ...config, ...change }, directory);
    await expectCode(make({ model_type: 'gpt2' }), 'ERR_UNSUPPORTED', /one of bert, roberta/);
    await expectCode(make({ hidden_size: 50 }), 'ERR_UNSUPPORTED', /multiple of its 4/);
    await expectCode(make({ hidden_size: -1 }), 'ERR_UNSUPPORTED', /hidden_size/);
    await expectCode(make({ vocab_size: 'x' }), 'ERR_INVALID_ARGUMENT', /vocab_size/);
    await expectCode(make({}, join(tokenizer, 'nowhere')), 'ERR_NOT_FOUND', /tokenizerDir/);
    await expectCode(SentenceTransformer.initialize(null as any, tokenizer), 'ERR_INVALID_ARGUMENT', /config/);
    await expectCode(SentenceTransformer.initialize(config, tokenizer, { seed: 0.5 }), 'ERR_INVALID_ARGUMENT', /seed/);
    await expectCode(CrossEncoder.initialize(config, tokenizer, { numLabels: 0 }), 'ERR_INVALID_ARGUMENT', /numLabels/);
  });
});

describe('texts of many tokens', () => {
  const texts = [1300, 700, 300, 3].map((count) =>
    Array.from({ length: count }, (_, i) => 'abcdefghi'[i % 9]).join(' '),
  );
  const worst = (a: Float32Array, b: Float32Array): number =>
    a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

  it.each(['float32', 'int8'] as const)('the same alone and together, %s', async (precision) => {
    const directory = join(await copyOf('tiny-bert'), 'long');
    await using made = await SentenceTransformer.initialize(
      { ...config, max_position_embeddings: 1400 },
      await copyOf('tiny-bert'),
    );
    await made.save(directory);
    await using model = await SentenceTransformer.load(directory, { precision });
    expect(await model.countTokens(texts)).toEqual(Int32Array.of(1302, 702, 302, 5));
    const together = await model.encode(texts, { batchTokens: 8192 });
    for (const [i, text] of texts.entries()) expect(await model.encode(text)).toEqual(together.row(i).slice());
    if (precision === 'int8') return;
    // The ONNX file beside the checkpoint is the padded graph, whose attention is one of plain operators.
    await rm(join(directory, 'model.safetensors'));
    await using padded = await SentenceTransformer.load(directory);
    expect(worst(together.data, (await padded.encode(texts)).data)).toBeLessThan(1e-6);
  });
});

describe('a new head', () => {
  it('goes on a body that keeps its weights', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    await using model = await CrossEncoder.fromEncoder(directory, { numLabels: 3, seed: 1 });
    expect(model.numLabels).toBe(3);
    const out = join(directory, 'out');
    await model.save(out);
    const [before, after] = await Promise.all([
      SafetensorsFile.open(join(directory, 'model.safetensors')),
      SafetensorsFile.open(join(out, 'model.safetensors')),
    ]);
    const name = 'encoder.layer.0.attention.self.query.weight';
    expect(await after.float32(`bert.${name}`)).toEqual(await before.float32(name));
    expect(after.tensors.get('classifier.weight')?.shape).toEqual([3, 32]);
    expect(await json(out, 'config.json')).toMatchObject({
      architectures: ['BertForSequenceClassification'],
      id2label: { 0: 'LABEL_0', 2: 'LABEL_2' },
    });
    await using again = await CrossEncoder.fromEncoder(directory, { numLabels: 3, seed: 2 });
    const pairs = [['a', 'b']] as const;
    expect(await again.predict(pairs)).not.toEqual(await model.predict(pairs));
  });

  it('needs a checkpoint', async () => {
    const directory = await copyWithOnly('tiny-bert', 'onnx');
    await expectCode(CrossEncoder.fromEncoder(directory), 'ERR_UNSUPPORTED', /checkpoint/);
  });
});

describe('saving', () => {
  it('keeps modules, prompts and lengths, and leaves other files alone', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    await writeFile(
      join(directory, 'config_sentence_transformers.json'),
      JSON.stringify({
        prompts: { query: 'q: ' },
        default_prompt_name: null,
        similarity_fn_name: 'dot',
        truncate_dim: 16,
      }),
    );
    const modules = await json(directory, 'modules.json');
    modules.push({ idx: 2, name: '2', path: '2_Normalize', type: 'sentence_transformers.models.Normalize' });
    await writeFile(join(directory, 'modules.json'), JSON.stringify(modules));
    await using model = await SentenceTransformer.load(directory, { maxSeqLength: 20 });
    const out = join(directory, 'out');
    await mkdir(out);
    await writeFile(join(out, 'notes.txt'), 'mine');
    await model.save(out);
    await model.save(out);
    expect((await readdir(out)).sort()).toEqual([
      '1_Pooling',
      'config.json',
      'config_sentence_transformers.json',
      'model.safetensors',
      'modules.json',
      'notes.txt',
      'onnx',
      'sentence_bert_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    await using again = await SentenceTransformer.load(out);
    expect([again.maxSeqLength, again.similarityFnName, again.dimension]).toEqual([20, 'dot', 16]);
    expect(again.prompts).toEqual({ query: 'q: ', document: '' });
    expect(await again.encodeQuery('늦은 밤')).toEqual(await model.encodeQuery('늦은 밤'));
  });

  it('over the directory it came from leaves the model usable', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    await using model = await SentenceTransformer.load(directory);
    const before = await model.encode('늦은 밤');
    await model.save(directory);
    expect(await model.encode('늦은 밤')).toEqual(before);
  });

  it('of a model that is an ONNX file copies it', async () => {
    const directory = await copyWithOnly('tiny-bert', 'onnx');
    await using model = await SentenceTransformer.load(directory);
    const out = join(directory, 'out');
    await model.save(out);
    await using again = await SentenceTransformer.load(out);
    expect(await again.encode('늦은 밤')).toEqual(await model.encode('늦은 밤'));
  });

  it('refuses a place that cannot be written', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    await using model = await SentenceTransformer.load(directory);
    await expectCode(model.save(join(directory, 'config.json', 'x')), 'ERR_NOT_FOUND', /config\.json/);
    await expectCode(model.save(''), 'ERR_INVALID_ARGUMENT', /dir/);
    expect((await readdir(directory)).filter((name) => name.includes('tmp'))).toEqual([]);
  });
});
