import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FlatrankError } from 'flatrank';
import { readModelDirectory } from '../../dist/model/directory.js';
import { TextTokenizer } from '../../dist/model/tokenizer.js';
import { Precompiled } from '../../dist/model/tokens/precompiled.js';
import { pipelineConfig, TokenPipeline } from '../../dist/model/tokens/pipeline.js';
import { charsmap, replacements, strangeTexts, tokenizerFiles } from '../golden/tokenizers.js';
import { damage, fuzzCount, fuzzTimeoutMs, randomNumbers } from './fuzz.js';
import { copyOf } from './model-directories.js';

const files = tokenizerFiles();
const pipelineOf = (name: string): TokenPipeline => new TokenPipeline(pipelineConfig.parse(files[name]), false);

it('damaged tokenizer files are refused by a FlatrankError, or tokenize', { timeout: fuzzTimeoutMs }, async () => {
  const directory = await copyOf('tiny-bert');
  const { config, tokenizerConfig, transformer } = await readModelDirectory(directory);
  const kinds = [
    'wordPiece',
    'bytes',
    'pieces',
    'map of characters',
    'added tokens wordPiece',
    'pre-tokenizer 12 Unigram',
  ];
  const texts = [...strangeTexts(5), 'a b c 한글 [SEP]'];
  for (const [seed, kind] of kinds.entries()) {
    const random = randomNumbers(seed + 1);
    const whole = Buffer.from(JSON.stringify(files[kind]));
    let refused = 0;
    for (let i = 0; i < fuzzCount / kinds.length; i++) {
      await writeFile(join(directory, 'tokenizer.json'), damage(whole, random, true));
      try {
        const options = {
          config,
          tokenizerConfig: { ...tokenizerConfig, cls_token: null, sep_token: null, pad_token: null },
        };
        const tokenizer = await TextTokenizer.load(transformer, { ...options, lowercase: false });
        for (const text of texts)
          for (const id of tokenizer.single(text, 64).ids) expect(Number.isSafeInteger(id) && id >= 0).toBe(true);
      } catch (error) {
        if (!(error instanceof FlatrankError)) throw error;
        expect(['ERR_TOKENIZER', 'ERR_BAD_FILE']).toContain(error.code);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
  }
});

it.each<[string, (json: any) => void]>([
  ['a merge of unknown tokens', (json) => json.model.merges.push('no such')],
  ['a merge of three', (json) => json.model.merges.push('a b c')],
  ['an id that is no number', (json) => (json.model.vocab.a = 'x')],
  ['a fractional id', (json) => (json.model.vocab.a = 0.5)],
  ['dropout', (json) => (json.model.dropout = 0.1)],
  ['an unknown normalizer', (json) => (json.normalizer = { type: 'Novel' })],
  ['an unknown pre-tokenizer', (json) => (json.pre_tokenizer = { type: 'Novel' })],
  ['a pattern that is none', (json) => (json.normalizer = { type: 'Replace', pattern: { Regex: '(' }, content: '' })],
  [
    'ByteLevel in the middle',
    (json) => (json.pre_tokenizer = { type: 'Sequence', pretokenizers: [json.pre_tokenizer, { type: 'Whitespace' }] }),
  ],
  [
    'a map of characters that is none',
    (json) => (json.normalizer = { type: 'Precompiled', precompiled_charsmap: '////' }),
  ],
])('%s is refused', (_, change) => {
  const json = structuredClone(files['bytes']);
  change(json);
  expect(() => new TokenPipeline(pipelineConfig.parse(json), false)).toThrow();
});

it('refuses normalizers that make a text longer without end', () => {
  const twice = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
  const normalizer = { type: 'Sequence', normalizers: Array.from({ length: 60 }, () => twice) };
  const pipeline = new TokenPipeline(pipelineConfig.parse({ ...files['bytes'], normalizer }), false);
  expect(() => pipeline.encode('a')).toThrow(/made more than/);
});

describe('a map of characters', () => {
  it('replaces graphemes, else characters', () => {
    const map = Precompiled.fromBase64(charsmap(replacements));
    expect(map.normalize('Ａe\u0301ﬁ①\u00a0\u200bZz\u1100\u1161한글')).toBe('Aéfi1 zz\u1100\u1161한글'); // six bytes are not looked up whole
    expect(map.normalize('abc e😀👩\u200d👧e\u0301e')).toBe('abc e😀👩\u200d👧ée');
  });

  it('replaces the same in long runs, which are cut', () => {
    const map = Precompiled.fromBase64(charsmap(replacements));
    const end = 'e\u0301👩\u200d👧🇰🇷🇫🇷e\u0301';
    for (let length = 1010; length < 1040; length++)
      expect(map.normalize('ก'.repeat(length) + end)).toBe('ก'.repeat(length) + map.normalize(end));
    const marks = `ก${'\u0301'.repeat(5000)}`; // one grapheme
    expect(map.normalize(marks + end)).toBe(map.normalize(marks) + map.normalize(end));
  });

  it('of damaged bytes does no harm', () => {
    const random = randomNumbers(7);
    const whole = Buffer.from(charsmap(replacements), 'base64');
    for (let i = 0; i < fuzzCount / 4; i++)
      try {
        Precompiled.fromBase64(damage(whole, random, false).toString('base64')).normalize('Ａe\u0301ﬁ①\u00a0Z');
      } catch (error) {
        expect((error as Error).message).toMatch(/precompiled_charsmap/);
      }
  });
});

describe('added tokens', () => {
  it('are found whole, with the blanks that they take', () => {
    const vocab = { a: 0, b: 1, '[UNK]': 2 };
    const base = { ...{ single_word: false, lstrip: false, rstrip: false, normalized: false, special: true } };
    const pipeline = new TokenPipeline(
      pipelineConfig.parse({
        model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
        pre_tokenizer: { type: 'CharDelimiterSplit', delimiter: '.' },
        added_tokens: [
          { ...base, id: 10, content: '<l>', lstrip: true },
          { ...base, id: 11, content: '<r>', rstrip: true },
          { ...base, id: 12, content: 'ab', single_word: true },
          { ...base, id: 13, content: '<l><l>' },
        ],
      }),
      false,
    );
    expect(pipeline.encode('a  <l>a')).toEqual([0, 10, 0]);
    expect(pipeline.encode('a<r>  a')).toEqual([0, 11, 0]);
    expect(pipeline.encode('a<l><l>b')).toEqual([0, 13, 1]);
    expect(pipeline.encode('ab')).toEqual([12]);
    expect(pipeline.encode('abb')).toEqual([2]);
    expect(pipeline.tokenToId('<r>')).toBe(11);
  });
});

it.each(['wordPiece', 'bytes', 'pieces', 'BPE of characters'])('%s takes a megabyte without a space', (name) => {
  const pipeline = pipelineOf(name);
  for (const unit of ['ab', '한국어', ' '])
    expect(pipeline.encode(unit.repeat(1_000_000 / unit.length)).every((id) => id >= 0)).toBe(true);
});

it('remembers words without changing them', () => {
  const pipeline = pipelineOf('wordPiece');
  const texts = strangeTexts(300);
  const first = texts.map((text) => pipeline.encode(text));
  for (let i = 0; i < 70_000; i++) pipeline.encode(`w${i}`);
  expect(texts.map((text) => pipeline.encode(text))).toEqual(first);
  expect(texts.map((text) => pipeline.encode(text))).toEqual(first);
});
