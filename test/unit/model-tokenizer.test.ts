import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { readModelDirectory } from '../../dist/model/directory.js';
import { TextTokenizer } from '../../dist/model/tokenizer.js';
import { copyOf, edit, expectCode } from './model-directories.js';

async function tokenizerOf(directory: string): Promise<TextTokenizer> {
  const { transformer, config, tokenizerConfig, lowercase } = await readModelDirectory(directory);
  return TextTokenizer.load(transformer, { config, tokenizerConfig, lowercase });
}

/** tiny-bert's tokenizer, its tokenizer.json changed. */
async function changed(change: (json: any) => unknown): Promise<TextTokenizer> {
  const directory = await copyOf('tiny-bert');
  await edit(directory, 'tokenizer.json', change);
  return tokenizerOf(directory);
}

const cls = 2;
const sep = 3;

describe('special tokens', () => {
  it('of every post-processor', async () => {
    const [bert, roberta] = ['BertProcessing', 'RobertaProcessing'].map((type) => ({
      type,
      cls: ['[CLS]', cls],
      sep: ['[SEP]', sep],
    }));
    const template = await tokenizerOf(await copyOf('tiny-bert'));
    const [a, b] = [template.ids('a'), template.ids('b c')];
    const types = (n: number, m: number): number[] => [...Array<number>(n).fill(0), ...Array<number>(m).fill(1)];
    for (const processor of [bert, { type: 'Sequence', processors: [{ type: 'ByteLevel' }, bert] }]) {
      const tokenizer = await changed((json) => void (json.post_processor = processor));
      expect(tokenizer.single('a', 64)).toEqual(template.single('a', 64));
      const pair = tokenizer.pair('a', 'b c', 64);
      expect(pair.ids).toEqual([cls, ...a, sep, ...b, sep]);
      expect(pair.typeIds).toEqual(types(a.length + 2, b.length + 1));
    }
    const double = (await changed((json) => void (json.post_processor = roberta))).pair('a', 'b c', 64);
    expect(double.ids).toEqual([cls, ...a, sep, sep, ...b, sep]);
    expect(double.typeIds).toEqual(types(a.length + b.length + 4, 0));
  });

  it('count in the length, and stay when a text is cut', async () => {
    const tokenizer = await tokenizerOf(await copyOf('tiny-bert'));
    expect(tokenizer.single('', 8)).toEqual({ ids: [cls, sep], typeIds: [0, 0], truncated: false });
    const { ids, truncated } = tokenizer.single('a b c d e f g h i j', 8);
    expect([ids.length, ids[0], ids[7], truncated]).toEqual([8, cls, sep, true]);
    expect(tokenizer.count(' ')).toBe(2);
  });

  it('cut on the left where the tokenizer says so', async () => {
    const directory = await copyOf('tiny-bert');
    const right = await tokenizerOf(directory);
    await edit(directory, 'tokenizer_config.json', (json) => ({ ...json, truncation_side: 'left' }));
    const left = await tokenizerOf(directory);
    const all = right.ids('a b c d e f');
    expect(left.single('a b c d e f', 5).ids).toEqual([cls, ...all.slice(-3), sep]);
    expect(right.single('a b c d e f', 5).ids).toEqual([cls, ...all.slice(0, 3), sep]);
  });

  it.each<[string, RegExp, (json: any) => unknown]>([
    [
      'in the template but not in the vocabulary',
      /\[BEGIN\]/,
      (json) => {
        json.post_processor.special_tokens['[CLS]'].tokens = ['[BEGIN]'];
      },
    ],
    [
      'not defined by the template',
      /\[CLS\]/,
      (json) => {
        delete json.post_processor.special_tokens['[CLS]'];
      },
    ],
    [
      'under another id',
      /\[SEP\]/,
      (json) => {
        json.post_processor.special_tokens['[SEP]'].ids = [4];
      },
    ],
    [
      'not there at all',
      /special tokens/,
      (json) => {
        json.post_processor = null;
      },
    ],
    [
      'without the unknown token',
      /\[NOPE\]/,
      (json) => {
        json.model.unk_token = '[NOPE]';
      },
    ],
    [
      'without a text in the template',
      /text/,
      (json) => {
        json.post_processor.pair = json.post_processor.single;
      },
    ],
    [
      'of an unknown post-processor',
      /post_processor/,
      (json) => {
        json.post_processor = { type: 'Novel' };
      },
    ],
    [
      'around an unknown model',
      /tokenizer/i,
      (json) => {
        json.model = { type: 'Novel', vocab: {} };
      },
    ],
    [
      'around no model',
      /model/,
      (json) => {
        delete json.model;
      },
    ],
  ])('%s: an error', async (_, message, change) => {
    await expectCode(changed(change), 'ERR_TOKENIZER', message);
  });

  it('padding that is not in the vocabulary: an error, also through load()', async () => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'tokenizer_config.json', (json) => ({ ...json, pad_token: '[FILL]' }));
    await expectCode(SentenceTransformer.load(directory), 'ERR_TOKENIZER', /\[FILL\]/);
  });

  it('outside the model’s vocabulary: an error', async () => {
    const directory = await copyOf('tiny-bert');
    await edit(directory, 'config.json', (json) => ({ ...json, vocab_size: 10 }));
    const tokenizer = await tokenizerOf(directory);
    expect(() => tokenizer.single('a b c d e f', 64)).toThrow(/vocab_size 10/);
    await edit(directory, 'config.json', (json) => ({ ...json, vocab_size: 3 }));
    await expectCode(tokenizerOf(directory), 'ERR_TOKENIZER', /vocabulary of 3/);
  });
});

it('pays no heed to truncation and padding in tokenizer.json but for the side', async () => {
  const plain = await tokenizerOf(await copyOf('tiny-bert'));
  const tokenizer = await changed((json) => {
    json.truncation = { max_length: 4, strategy: 'LongestFirst', stride: 0, direction: 'Left' };
    json.padding = { strategy: { Fixed: 32 }, direction: 'Left', pad_id: 0, pad_type_id: 0, pad_token: '[PAD]' };
  });
  expect(tokenizer.single('a b c d e f', 64)).toEqual(plain.single('a b c d e f', 64));
  expect(tokenizer.single('a b c d e f', 4).ids).toEqual(plain.single('e f', 4).ids);
});

describe('a tokenizer class that builds parts anew, as transformers 5 does', () => {
  const withConfig = async (name: string, config: object): Promise<TextTokenizer> => {
    const directory = await copyOf(name);
    await edit(directory, 'tokenizer_config.json', (json) => {
      delete json.tokenizer_class;
      delete json.model_input_names;
      Object.assign(json, config);
    });
    return tokenizerOf(directory);
  };

  it('BertTokenizer: lower-cases unless told not to, whatever tokenizer.json says', async () => {
    const cased = await tokenizerOf(await copyOf('tiny-bert'));
    for (const config of [
      { tokenizer_class: 'BertTokenizerFast' },
      {},
      { tokenizer_class: 'BertTokenizer', do_lower_case: true },
    ])
      expect((await withConfig('tiny-bert', config)).ids('WORLD É')).toEqual(cased.ids('world e'));
    const told = await withConfig('tiny-bert', { tokenizer_class: 'BertTokenizer', do_lower_case: false });
    expect(told.ids('WORLD')).toEqual(cased.ids('WORLD'));
    const accents = await withConfig('tiny-bert', { tokenizer_class: 'BertTokenizer', strip_accents: false });
    expect(accents.ids('É')).toEqual(cased.ids('é'));
  });

  it('RobertaTokenizer: puts a space before a text only where it is told to', async () => {
    const plain = await tokenizerOf(await copyOf('tiny-roberta'));
    const spaced = await withConfig('tiny-roberta', { tokenizer_class: 'RobertaTokenizer', add_prefix_space: true });
    expect(spaced.ids('world')).toEqual(plain.ids(' world'));
    const unspaced = await withConfig('tiny-roberta', { tokenizer_class: 'RobertaTokenizer' });
    expect(unspaced.ids('world')).toEqual(plain.ids('world'));
  });

  it('a generic one: no token types unless they are among the inputs', async () => {
    const types = async (config: object): Promise<number[]> =>
      (await withConfig('tiny-bert', config)).pair('a', 'b', 16).typeIds;
    expect(await types({ tokenizer_class: 'PreTrainedTokenizerFast' })).toEqual([0, 0, 0, 0, 0]);
    expect(await types({ tokenizer_class: 'BertTokenizer' })).toEqual([0, 0, 0, 1, 1]);
    expect(await types({ tokenizer_class: 'BertTokenizer', model_input_names: ['input_ids'] })).toEqual([
      0, 0, 0, 0, 0,
    ]);
    const names = ['input_ids', 'token_type_ids', 'attention_mask'];
    expect(await types({ tokenizer_class: 'TokenizersBackend', model_input_names: names })).toEqual([0, 0, 0, 1, 1]);
  });
});

it('lower-cases where the module asks for it', async () => {
  const directory = await copyOf('tiny-bert');
  const plain = await tokenizerOf(directory);
  await edit(directory, 'sentence_bert_config.json', (json) => ({ ...json, do_lower_case: true }));
  const lower = await tokenizerOf(directory);
  expect(lower.ids('WORLD')).toEqual(plain.ids('world'));
  expect(lower.ids('[SEP] A')).toEqual(plain.ids('[SEP] a'));
});

describe.each(['tiny-bert', 'tiny-roberta'])('%s', (name) => {
  it('tokenizes a long text as its parts would be', async () => {
    const tokenizer = await tokenizerOf(await copyOf(name));
    const words = Array.from({ length: 4000 }, (_, i) => `word${i % 97} 안녕, ${i}!`).join(' ');
    const whole = tokenizer.ids(words);
    const first = tokenizer.ids(words.slice(0, 3000));
    expect(whole.length).toBeGreaterThan(10_000);
    expect(whole.slice(0, first.length - 5)).toEqual(first.slice(0, -5));
    expect(tokenizer.single(words, 64).ids).toEqual([...tokenizer.single(words.slice(0, 4000), 64).ids]);
    expect(tokenizer.count(words)).toBe(whole.length + 2);
  });

  it('takes anything', async () => {
    const tokenizer = await tokenizerOf(await copyOf(name));
    for (const text of [
      '',
      ' ',
      '\uD800',
      'a\uDFFFb',
      '[CLS][SEP]<s></s>',
      '\u0000',
      '\uFFFD',
      '__proto__ constructor',
      '😀'.repeat(99),
    ])
      for (const { ids } of [tokenizer.single(text, 16), tokenizer.pair(text, text, 16)]) {
        expect(ids.length).toBeLessThanOrEqual(16);
        expect(ids.every((id) => Number.isInteger(id) && id >= 0)).toBe(true);
      }
  });

  it('takes a megabyte', async () => {
    const tokenizer = await tokenizerOf(await copyOf(name));
    for (const text of ['x'.repeat(1_000_000), 'word '.repeat(200_000), '漢'.repeat(300_000)]) {
      expect(tokenizer.single(text, 64).ids.length).toBeLessThanOrEqual(64);
      expect(tokenizer.pair('query', text, 64).ids.length).toBeLessThanOrEqual(64);
    }
  });
});

it('refuses a tokenizer.json that is not JSON, or not an object', async () => {
  const directory = await copyOf('tiny-bert');
  await writeFile(join(directory, 'tokenizer.json'), '{');
  await expectCode(tokenizerOf(directory), 'ERR_BAD_FILE', /tokenizer\.json/);
  await writeFile(join(directory, 'tokenizer.json'), '"text"');
  await expectCode(tokenizerOf(directory), 'ERR_TOKENIZER', /tokenizer\.json/);
});
