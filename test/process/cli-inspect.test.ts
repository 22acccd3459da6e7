import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CrossEncoder } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';
import { copyOf } from '../unit/model-directories.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const flatrank = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [main, ...args])).stdout;
const inspect = (...args: string[]): Promise<string> => flatrank('inspect', ...args);

describe('flatrank inspect', () => {
  it('tells what a sentence model is', async () => {
    const directory = await copyOf('tiny-bert');
    const settings = {
      prompts: { query: 'query: ', document: '' },
      default_prompt_name: 'query',
      similarity_fn_name: 'dot',
    };
    await writeFile(join(directory, 'config_sentence_transformers.json'), JSON.stringify(settings));
    const told = JSON.parse(await inspect(directory, '--json'));
    expect(told).toMatchObject({
      ...{ model: directory, directory, kind: 'sentence-transformer', architecture: 'BertModel', modelType: 'bert' },
      ...{ layers: 2, hiddenSize: 32, parameters: 35_744, dtypes: ['F32'], dimension: 32, numLabels: null },
      ...{ pooling: ['mean'], maxSeqLength: 64, similarityFnName: 'dot', prompts: settings.prompts },
      ...{ defaultPromptName: 'query', tokenizer: { type: 'WordPiece', vocabularySize: 451 } },
    });
    expect(told.files).toContainEqual({ path: 'model.safetensors', bytes: 146_824 });
    const text = await inspect(directory);
    for (const words of [
      'BertModel (bert)',
      '35,744 (F32)',
      'mean',
      '64 tokens',
      '"query: "',
      '146,824  model.safetensors',
    ])
      expect(text).toContain(words);
  });

  it('tells what a cross-encoder is', async () => {
    const told = JSON.parse(await inspect(join(goldenDirectory, 'models', 'tiny-bert-cross-3'), '--json'));
    expect(told).toMatchObject({ kind: 'cross-encoder', numLabels: 3, dimension: null, pooling: [], prompts: {} });
    // One that was saved has a modules.json too.
    const saved = join(await copyOf('tiny-bert'), 'saved');
    await using model = await CrossEncoder.load(join(goldenDirectory, 'models', 'tiny-bert-cross-3'));
    await model.save(saved);
    expect(JSON.parse(await inspect(saved, '--json'))).toMatchObject({ kind: 'cross-encoder', numLabels: 3 });
  });

  it('fails where there is no model', async () => {
    await expect(inspect('no/such')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ERR_NOT_FOUND'),
    });
    await expect(inspect()).rejects.toMatchObject({ code: 2 });
  });
});

describe('flatrank convert', () => {
  const tiny = (name: string): string => join(goldenDirectory, 'models', name);

  it.each([
    ['the bi-encoder that comes with flatrank', ['box-ko-en'], 'sentence-transformer'],
    ['its cross-encoder', ['box-ko-en', '--cross-encoder'], 'cross-encoder'],
    ['a bi-encoder', [tiny('tiny-roberta')], 'sentence-transformer'],
    ['a cross-encoder', [tiny('tiny-roberta-cross')], 'cross-encoder'],
  ])('writes what inspect tells: %s', async (_, args, kind) => {
    const out = join(await copyOf('tiny-bert'), 'out');
    await flatrank('convert', ...args, '--out', out);
    for (const told of [args, [out]]) expect(JSON.parse(await inspect(...told, '--json'))).toMatchObject({ kind });
  });

  it('makes no cross-encoder of a bi-encoder', async () => {
    const out = join(await copyOf('tiny-bert'), 'out');
    const converted = flatrank('convert', tiny('tiny-roberta'), '--cross-encoder', '--out', out);
    await expect(converted).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_UNSUPPORTED') });
  });
});
