import { truncate, readFile, rm, writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { decodeOnnx } from '../../dist/formats/onnx-decode.js';
import { encodeOnnx } from '../../dist/formats/onnx-encode.js';
import { copyOf, copyWithOnly, edit, expectCode, safetensors } from './model-directories.js';

const load = (directory: string, o = {}): Promise<SentenceTransformer> => SentenceTransformer.load(directory, o);

describe('a directory', () => {
  it('that is not there, or is a file', async () => {
    await expectCode(load('no/such'), 'ERR_NOT_FOUND', /Hub.*no\/such/);
    await expectCode(load('/no/such/directory/at/all'), 'ERR_NOT_FOUND', /dirOrHubId/);
    await expectCode(load('package.json'), 'ERR_NOT_FOUND');
    await expectCode(CrossEncoder.load('no/such'), 'ERR_NOT_FOUND');
  });

  it.each(['config.json', 'tokenizer.json', '1_Pooling/config.json'])('without %s', async (name) => {
    const directory = await copyOf('tiny-bert');
    await rm(join(directory, name));
    await expectCode(load(directory), 'ERR_NOT_FOUND', new RegExp(name.replaceAll('.', '\\.')));
  });

  it.each(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'modules.json', 'sentence_bert_config.json'])(
    'with a truncated %s',
    async (name) => {
      const directory = await copyOf('tiny-bert');
      const path = join(directory, name);
      await truncate(path, (await readFile(path)).length - 3);
      await expectCode(load(directory), 'ERR_BAD_FILE', new RegExp(name));
    },
  );

  it('without weights says so', async () => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    await using model = await load(directory);
    expect((await model.encode('a')).length).toBe(model.dimension);
    await rm(join(directory, 'model.safetensors'));
    await expectCode(load(directory), 'ERR_NOT_FOUND', /model\.safetensors.*model\.onnx/);
  });

  it('of an architecture that is not known: its ONNX file, else refused with those that are', async () => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'config.json', (json) => ({ ...json, model_type: 'deberta-v2' }));
    await using model = await load(directory);
    expect((await model.encode('a')).length).toBe(model.dimension);
    await rm(join(directory, 'onnx'), { recursive: true });
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /one of bert, .*mpnet but received "deberta-v2"/);
  });

  it.each([
    [{ hidden_act: 'gelu_11' }, 'ERR_UNSUPPORTED', /gelu_new.*"gelu_11"/s],
    [{ position_embedding_type: 'relative_key' }, 'ERR_UNSUPPORTED', /position_embedding_type/],
    [{ is_decoder: true }, 'ERR_UNSUPPORTED', /is_decoder/],
    [{ num_attention_heads: 5 }, 'ERR_UNSUPPORTED', /multiple of its 5/],
    [{ num_hidden_layers: 3 }, 'ERR_BAD_FILE', /encoder\.layer\.2\..* there is none/],
    [{ intermediate_size: 2 ** 30 }, 'ERR_BAD_FILE', /intermediate.*shape \(1073741824, 32\)/],
    [{ vocab_size: 10_000 }, 'ERR_BAD_FILE', /word_embeddings.*shape/],
  ] as const)('whose checkpoint does not fit %o', async (change, code, message) => {
    const directory = await copyWithOnly('tiny-bert', 'checkpoint');
    await edit(directory, 'config.json', (json) => ({ ...json, ...change }));
    await expectCode(load(directory), code, message);
  });

  it('with the ONNX file at the top', async () => {
    const directory = await copyWithOnly('tiny-bert', 'onnx');
    await writeFile(join(directory, 'model.onnx'), await readFile(join(directory, 'onnx', 'model.onnx')));
    await rm(join(directory, 'onnx'), { recursive: true });
    await using model = await load(directory);
    expect((await model.encode('a')).length).toBe(model.dimension);
  });

  it('with a truncated, foreign or empty ONNX file', async () => {
    const directory = await copyWithOnly('tiny-bert', 'onnx');
    const path = join(directory, 'onnx', 'model.onnx');
    const whole = await readFile(path);
    for (const bytes of [whole.subarray(0, whole.length / 2), Buffer.from('not an ONNX file'), Buffer.alloc(0)]) {
      await writeFile(path, bytes);
      await expectCode(load(directory), 'ERR_BAD_FILE', /model\.onnx/);
    }
  });

  it('with values of another type', async () => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'config.json', (json) => {
      json.max_position_embeddings = 'many';
    });
    await expectCode(load(directory), 'ERR_BAD_FILE', /max_position_embeddings/);
    await writeFile(join(directory, 'config.json'), '[]');
    await expectCode(load(directory), 'ERR_BAD_FILE', /config\.json/);
  });
});

describe('modules.json', () => {
  const modules = (directory: string, types: readonly [type: string, path: string][]): Promise<void> =>
    edit(directory, 'modules.json', () => types.map(([type, path], idx) => ({ idx, name: String(idx), path, type })));
  const transformer = ['sentence_transformers.base.modules.transformer.Transformer', ''] as [string, string];
  const pooling = ['sentence_transformers.sentence_transformer.modules.pooling.Pooling', '1_Pooling'] as [
    string,
    string,
  ];

  it('refuses a module that is not known, by its name', async () => {
    const directory = await copyOf('tiny-bert');
    await modules(directory, [transformer, ['sentence_transformers.models.LSTM', '1_LSTM'], pooling]);
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /sentence_transformers\.models\.LSTM/);
    await modules(directory, [['sentence_transformers.models.WordEmbeddings', '0']]);
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /WordEmbeddings/);
    await modules(directory, [transformer]);
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /Pooling/);
    await modules(directory, [transformer, ['x.Pooling', '../elsewhere']]);
    await expectCode(load(directory), 'ERR_BAD_FILE', /elsewhere/);
  });

  it('is followed in its order: Normalize, Dense', async () => {
    const directory = await copyOf('tiny-bert');
    await using plain = await load(directory);
    const { dimension } = plain;
    const [x] = [await plain.encode('a text')];
    const values = Array.from({ length: 3 * dimension }, (_, i) => Math.sin(i));
    await mkdir(join(directory, '2_Dense'));
    await writeFile(
      join(directory, '2_Dense', 'model.safetensors'),
      safetensors({
        'linear.weight': { shape: [3, dimension], values },
        'linear.bias': { shape: [3], values: [0.1, 0.2, 0.3] },
      }),
    );
    const activation_function = 'torch.nn.modules.activation.Tanh';
    const dense = { in_features: dimension, out_features: 3, bias: true, activation_function };
    await writeFile(join(directory, '2_Dense', 'config.json'), JSON.stringify(dense));
    await modules(directory, [
      transformer,
      pooling,
      ['sentence_transformers.models.Dense', '2_Dense'],
      ['sentence_transformers.models.Normalize', '3_Normalize'],
    ]);
    await using model = await load(directory);
    expect(model.dimension).toBe(3);
    const y = [0, 1, 2].map((j) =>
      Math.tanh(x.reduce((sum, v, i) => sum + v * Math.fround(values[j * dimension + i]!), (j + 1) / 10)),
    );
    const norm = Math.hypot(...y);
    const actual = await model.encode('a text');
    for (const [j, value] of y.entries()) expect(actual[j]).toBeCloseTo(value / norm, 5);

    await edit(directory, '2_Dense/config.json', (json) => ({ ...json, activation_function: 'package.ReLU' }));
    await using other = await load(directory); // as in sentence-transformers, of another package Tanh
    expect(await other.encode('a text')).toEqual(actual);
    await edit(directory, '2_Dense/config.json', (json) => ({ ...json, activation_function: 'torch.nn.Mish' }));
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /Mish/);
    await edit(directory, '2_Dense/config.json', (json) => ({ ...json, activation_function, out_features: 4 }));
    await expectCode(load(directory), 'ERR_BAD_FILE', /linear\.weight/);
  });

  it('where there is none, gives mean pooling', async () => {
    const directory = await copyOf('tiny-bert');
    await using before = await load(directory);
    await rm(join(directory, 'modules.json'));
    await rm(join(directory, '1_Pooling'), { recursive: true });
    await using after = await load(directory);
    expect(await after.encode('a text')).toEqual(await before.encode('a text'));
    expect(after.maxSeqLength).toBe(128); // not of sentence_bert_config.json, which belongs to the module
  });
});

describe('pooling', () => {
  const configure = (directory: string, config: unknown): Promise<void> =>
    writeFile(join(directory, '1_Pooling', 'config.json'), JSON.stringify(config));

  it('concatenates modes, old style and new', async () => {
    const directory = await copyOf('tiny-bert');
    await using cls = await load(directory, { pooling: 'cls' });
    await using max = await load(directory, { pooling: 'max' });
    await using mean = await load(directory, { pooling: 'mean' });
    const [c, m, a] = [await cls.encode('a text'), await max.encode('a text'), await mean.encode('a text')];
    await configure(directory, {
      pooling_mode_mean_tokens: true,
      pooling_mode_max_tokens: true,
      pooling_mode_cls_token: true,
    });
    await using old = await load(directory);
    expect(old.dimension).toBe(3 * cls.dimension);
    expect([...(await old.encode('a text'))]).toEqual([...c, ...m, ...a]);
    await configure(directory, { embedding_dimension: 1, pooling_mode: ['mean', 'cls'], include_prompt: true });
    await using fresh = await load(directory);
    expect([...(await fresh.encode('a text'))]).toEqual([...a, ...c]);
    const unit = await fresh.encode('a text', { normalize: true });
    expect(Math.hypot(...unit)).toBeCloseTo(1, 5);
  });

  it('of several modes is saved in its order', async () => {
    const directory = await copyOf('tiny-bert');
    const saved = join(directory, 'saved');
    for (const pooling_mode of [
      ['mean', 'cls'],
      ['cls', 'mean'],
    ]) {
      await writeFile(join(directory, '1_Pooling/config.json'), JSON.stringify({ pooling_mode }));
      await using model = await SentenceTransformer.load(directory);
      await model.save(saved);
      await using loaded = await SentenceTransformer.load(saved);
      expect(await loaded.encode('text')).toEqual(await model.encode('text'));
    }
  });

  it('refuses modes that are not known, by their name', async () => {
    const directory = await copyOf('tiny-bert');
    await configure(directory, { pooling_mode_lasttoken: true });
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /lasttoken/);
    await configure(directory, { pooling_mode: 'weightedmean' });
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /weightedmean/);
    await configure(directory, { pooling_mode_of_tomorrow: true, pooling_mode_mean_tokens: true });
    await expectCode(load(directory), 'ERR_UNSUPPORTED', /of_tomorrow/);
  });

  it('leaves the prompt out where include_prompt is false', async () => {
    const directory = await copyOf('tiny-bert');
    await configure(directory, { pooling_mode_max_tokens: true });
    await using all = await load(directory);
    await configure(directory, { pooling_mode_max_tokens: true, include_prompt: false });
    await using rest = await load(directory);
    expect(await rest.encode('a text')).toEqual(await all.encode('a text'));
    const [p, q] = [await all.encode('a text', { prompt: 'b: ' }), await rest.encode('a text', { prompt: 'b: ' })];
    // The largest of fewer values is no larger, and somewhere the prompt had the largest.
    expect(q.every((value, i) => value <= p[i]!)).toBe(true);
    expect(q.some((value, i) => value < p[i]!)).toBe(true);
  });
});

describe('the longest input', () => {
  it('is the option, else the module’s, never more than the position embeddings hold', async () => {
    const roberta = await copyOf('tiny-roberta');
    const positions = JSON.parse(await readFile(join(roberta, 'config.json'), 'utf8'))
      .max_position_embeddings as number;
    const lengths = [];
    for (const maxSeqLength of [undefined, 10, 1000]) {
      await using model = await load(roberta, { maxSeqLength });
      await model.encode('x y '.repeat(1000));
      lengths.push(model.maxSeqLength);
    }
    expect(lengths).toEqual([64, 10, positions - 2]);
    await expectCode(load(roberta, { maxSeqLength: 2 }), 'ERR_INVALID_ARGUMENT', /special tokens/);
  });
});

describe('save', () => {
  it('leaves no weights of another model that would be read first', async () => {
    const onnx = await copyWithOnly('tiny-bert', 'onnx');
    const target = await copyOf('tiny-bert-cross');
    await using model = await SentenceTransformer.load(onnx);
    await model.save(target);
    await using loaded = await SentenceTransformer.load(target);
    expect(await loaded.encode('text')).toEqual(await model.encode('text'));
  });

  it('drops what the configuration says of other labels', async () => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'config.json', (json) => (json.problem_type = 'single_label_classification') && undefined);
    await using model = await CrossEncoder.fromEncoder(directory, { numLabels: 1 });
    await model.save(join(directory, 'saved'));
    expect(JSON.parse(await readFile(join(directory, 'saved/config.json'), 'utf8'))).not.toHaveProperty('problem_type');
  });
});

/** An ONNX model whose token vectors have another name. */
async function withOutput(name: string): Promise<string> {
  const directory = await copyWithOnly('tiny-bert', 'onnx');
  const path = join(directory, 'onnx', 'model.onnx');
  const model = decodeOnnx(await readFile(path), path);
  const renamed = (old: string): string => (old === 'last_hidden_state' ? name : old);
  const nodes = model.graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(renamed),
    outputs: node.outputs.map(renamed),
  }));
  const outputs = model.graph.outputs.map((output) => ({ ...output, name: renamed(output.name) }));
  await writeFile(path, Buffer.concat(encodeOnnx({ ...model, graph: { ...model.graph, nodes, outputs } })));
  return directory;
}

describe('a cross-encoder', () => {
  it('takes its activation from the configuration', async () => {
    const directory = await copyOf('tiny-bert-cross');
    const pairs = [['a', 'b']] as const;
    await using model = await CrossEncoder.load(directory);
    const [logit] = await model.predict(pairs, { activation: 'none' });
    const change = (o: object): Promise<void> => edit(directory, 'config.json', (json) => ({ ...json, ...o }));
    await change({ sbert_ce_default_activation_function: 'torch.nn.modules.linear.Identity' });
    await using legacy = await CrossEncoder.load(directory);
    expect((await legacy.predict(pairs))[0]).toBe(logit);
    await change({ sentence_transformers: { activation_fn: 'torch.nn.modules.activation.Sigmoid' } });
    await using current = await CrossEncoder.load(directory);
    expect((await current.predict(pairs))[0]).toBeCloseTo(1 / (1 + Math.exp(-logit!)), 6);
    await change({ sentence_transformers: { activation_fn: 'torch.nn.modules.activation.Tanh' } });
    await expectCode(CrossEncoder.load(directory), 'ERR_UNSUPPORTED', /Tanh/);
    // Classes of other packages are not, as in sentence-transformers.
    await change({ sentence_transformers: { activation_fn: 'package.Identity' } });
    await using other = await CrossEncoder.load(directory);
    expect(await other.predict(pairs)).toEqual(await current.predict(pairs));
  });

  it('has a head, which a sentence model has not', async () => {
    await expectCode(load(await copyWithOnly('tiny-bert-cross', 'onnx')), 'ERR_UNSUPPORTED', /logits/);
    await expectCode(load(await withOutput('logits')), 'ERR_UNSUPPORTED', /logits/);
    await using named = await load(await withOutput('vectors'));
    expect(named.dimension).toBe(32);
    const [onnx, checkpoint] = [await copyWithOnly('tiny-bert', 'onnx'), await copyWithOnly('tiny-bert', 'checkpoint')];
    await expectCode(CrossEncoder.load(onnx), 'ERR_UNSUPPORTED', /last_hidden_state/);
    await expectCode(CrossEncoder.load(checkpoint), 'ERR_UNSUPPORTED', /no `classifier\.weight`/);
  });

  it('whose checkpoint is loaded as a sentence model gives its body', async () => {
    await using model = await load(await copyWithOnly('tiny-bert-cross', 'checkpoint'));
    expect((await model.encode('a')).length).toBe(32);
  });
});
