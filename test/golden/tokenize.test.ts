import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenDirectory as golden } from './golden-directory.js';
import { encoderConfig, tokenizerConfig } from '../../dist/model/configs.js';
import { readJson } from '../../dist/model/json-file.js';
import { TextTokenizer } from '../../dist/model/tokenizer.js';

const read = (name: string) => JSON.parse(readFileSync(join(golden, name), 'utf8'));
const recorded = read('tokenize.json');

async function tokenizerOf(directory: string): Promise<TextTokenizer> {
  const [config, settings] = await Promise.all([
    readJson(join(directory, 'config.json'), encoderConfig),
    readJson(join(directory, 'tokenizer_config.json'), tokenizerConfig),
  ]);
  return TextTokenizer.load(directory, { config, tokenizerConfig: settings, lowercase: false });
}

describe.each(Object.keys(recorded.models))('tokens of %s', (name) => {
  const expected = recorded.models[name];
  const loading = tokenizerOf(join(golden, 'models', name));

  it('of single texts, truncated', async () => {
    const tokenizer = await loading;
    const ids = recorded.texts.map((text: string) => tokenizer.single(text, expected.max_length).ids);
    expect(ids).toEqual(expected.single);
  });

  it('of pairs, longest first', async () => {
    const tokenizer = await loading;
    // Some pair was cut to the limit, so the longest shows it.
    const max = Math.max(...expected.pairs.map(({ input_ids }: { input_ids: number[] }) => input_ids.length));
    for (const { a, b, input_ids, token_type_ids } of expected.pairs) {
      // The recorder's call takes an empty second text for none; in a list of pairs, as a cross-encoder gives them, it is one.
      const tokens = b === '' ? tokenizer.single(a, max) : tokenizer.pair(a, b, max);
      expect(tokens.ids).toEqual(input_ids);
      expect(tokens.typeIds).toEqual(token_type_ids ?? tokens.ids.map(() => 0));
    }
  });

  it('says which texts were cut', async () => {
    const tokenizer = await loading;
    for (const text of recorded.texts)
      expect(tokenizer.single(text, expected.max_length).truncated).toBe(tokenizer.count(text) > expected.max_length);
  });
});

const hasFamilies = existsSync(join(golden, 'families'));
describe.skipIf(!hasFamilies)('tokens of the families (skipped unless FLATRANK_GOLDEN has them)', () => {
  const recordedFamilies = hasFamilies ? read('families.json') : { encoders: {}, cross_encoders: {} };
  const { texts, pairs, max_length: max } = recordedFamilies;

  it.each(Object.keys(recordedFamilies.encoders))('%s', async (name) => {
    const tokenizer = await tokenizerOf(join(golden, 'families', name));
    const ids = texts.map((text: string) => tokenizer.single(text, max).ids);
    expect(ids).toEqual(recordedFamilies.encoders[name].input_ids);
  });

  it.each(Object.keys(recordedFamilies.cross_encoders))('%s', async (name) => {
    const tokenizer = await tokenizerOf(join(golden, 'families', name));
    const recordedIds = recordedFamilies.cross_encoders[name].input_ids;
    for (const [i, [a, b]] of pairs.entries()) {
      const longest = Math.max(...recordedIds.map((ids: number[]) => ids.length));
      expect((b === '' ? tokenizer.single(a, longest) : tokenizer.pair(a, b, longest)).ids).toEqual(recordedIds[i]);
    }
  });
});

const miniLm = join('..', 'shared', 'models', 'all-MiniLM-L6-v2-onnx-int8');
describe.skipIf(!existsSync(miniLm))('tokens of all-MiniLM-L6-v2 (skipped without ../shared)', () => {
  it('whatever its tokenizer.json says about truncation and padding', async () => {
    const { texts, ids, max_seq_length } = read('minilm.json');
    const tokenizer = await tokenizerOf(miniLm);
    expect(texts.map((text: string) => tokenizer.single(text, max_seq_length).ids)).toEqual(ids);
  });
});
