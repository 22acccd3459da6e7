/** Tokenizers of every kind and texts of every kind, to hold against Python's `tokenizers`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { goldenDirectory } from './golden-directory.js';

const json = (path: string): any => JSON.parse(readFileSync(path, 'utf8'));
const model = (name: string): any => json(join(goldenDirectory, 'models', name, 'tokenizer.json'));
const sequence = (...normalizers: object[]): object => ({ type: 'Sequence', normalizers });
const bert = (o: object): object => ({
  ...{ type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
  ...o,
});
const split = (pattern: object, behavior: string, invert = false): object => ({
  ...{ type: 'Split', pattern, behavior, invert },
});
const gpt4 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Names of configurations, each with a tokenizer.json. */
export function tokenizerFiles(): Record<string, object> {
  const [wordPiece, bytes] = [model('tiny-bert'), model('tiny-roberta')];
  const pieces = unigram(wordPiece);
  const files: Record<string, object> = { wordPiece, bytes, pieces };
  const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];
  const normalizers = [
    null,
    ...[{ clean_text: false }, { handle_chinese_chars: false }, { strip_accents: true, lowercase: false }].map(bert),
    bert({}),
    sequence({ type: 'NFD' }, { type: 'Lowercase' }, { type: 'StripAccents' }),
    sequence({ type: 'Nmt' }, { type: 'NFKC' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }),
    sequence({ type: 'Strip', strip_left: true, strip_right: true }, { type: 'Prepend', prepend: 'a ' }),
    { type: 'Replace', pattern: { String: 'a' }, content: '$&b' },
  ];
  const preTokenizers = [
    ...['Whitespace', 'WhitespaceSplit'].map((type) => ({ type })),
    ...behaviors.map((behavior) => ({ type: 'Punctuation', behavior })),
    ...[true, false].map((individual_digits) => ({ type: 'Digits', individual_digits })),
    { type: 'CharDelimiterSplit', delimiter: ' ' },
    ...behaviors.flatMap((behavior) => [
      split({ Regex: '\\s+|[a-f]' }, behavior),
      split({ String: 'a' }, behavior, true),
    ]),
    { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Digits', individual_digits: true }] },
  ];
  const added = ['lstrip', 'rstrip', 'single_word', 'normalized'].flatMap((name, i) =>
    [true, false].map((special, j) => ({
      ...{ id: 0, content: ['aa', 'b c', '글', '[MASK]x', 'É', '##', 'a', 'a b'][2 * i + j]! },
      ...{ single_word: false, lstrip: false, rstrip: false, normalized: false, special, [name]: true },
    })),
  );
  for (const [i, normalizer] of normalizers.entries()) files[`normalizer ${i}`] = { ...wordPiece, normalizer };
  for (const [i, pre_tokenizer] of preTokenizers.entries())
    for (const base of [wordPiece, pieces])
      files[`pre-tokenizer ${i} ${base.model.type}`] = { ...base, normalizer: null, pre_tokenizer };
  for (const [name, base] of Object.entries({ wordPiece, bytes, pieces })) {
    // Numbered as the library numbers them: what the vocabulary has keeps its id.
    const known = new Map<string, number>(
      Array.isArray(base.model.vocab)
        ? base.model.vocab.map(([token]: [string], id: number) => [token, id])
        : Object.entries(base.model.vocab),
    );
    let next = known.size;
    const tokens = added.map((token) => ({ ...token, id: known.get(token.content) ?? next++ }));
    files[`added tokens ${name}`] = { ...base, added_tokens: [...base.added_tokens, ...tokens] };
  }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
  files['bytes with a space first'] = { ...bytes, pre_tokenizer: byteLevel };
  files['bytes cut by a pattern'] = {
    ...bytes,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [split({ Regex: gpt4 }, 'Isolated'), { ...byteLevel, add_prefix_space: false, use_regex: false }],
    },
  };
  files['whole words before merges'] = { ...bytes, model: { ...bytes.model, ignore_merges: true } };
  Object.assign(files, characterBpe());
  for (const prepend_scheme of ['always', 'first', 'never'])
    for (const cut of [true, false])
      files[`Metaspace ${prepend_scheme} ${cut}`] = {
        ...pieces,
        pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme, split: cut },
      };
  files['map of characters'] = {
    ...pieces,
    normalizer: { type: 'Precompiled', precompiled_charsmap: charsmap(replacements) },
  };
  files['words'] = {
    ...wordPiece,
    model: { type: 'WordLevel', vocab: wordPiece.model.vocab, unk_token: '[UNK]' },
  };
  return files;
}

/** A unigram model over the tokens of a WordPiece one, words marked at their beginning. */
function unigram(wordPiece: any): any {
  const vocabulary = Object.entries<number>(wordPiece.model.vocab).sort(([, a], [, b]) => a - b);
  const words = vocabulary.map(([token], i) => (i < 5 ? token : token.startsWith('##') ? token.slice(2) : `▁${token}`));
  const known = [...new Set([...words, '▁', 'ab', 'abc', '▁a▁b', '글'])];
  return {
    ...wordPiece,
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    post_processor: null,
    decoder: null,
    model: {
      type: 'Unigram',
      unk_id: 1,
      vocab: known.map((token, i) => [token, i < 5 ? 0 : -((i * 7919) % 1000) / 100 - 1]),
      byte_fallback: false,
    },
  };
}

/** BPE over characters, with every way of treating what is unknown. */
function characterBpe(): Record<string, object> {
  const letters = ['a', 'b', 'c', '한', '글', ' ', 'é', '😀'];
  const merges = [
    ['a', 'b'],
    ['b', 'c'],
    ['ab', 'c'],
    ['a', 'bc'],
    ['한', '글'],
    ['a', 'a'],
    ['aa', 'aa'],
  ] as const;
  const tokens = ['<unk>', ...letters, ...new Set(merges.map((pair) => pair.join('')))];
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const file = (o: object, vocabulary = tokens): object => ({
    ...{ version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null },
    ...{ pre_tokenizer: { type: 'WhitespaceSplit' }, post_processor: null, decoder: null },
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null },
      ...{ end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries(vocabulary.map((token, i) => [token, i])),
      merges,
      ...o,
    },
  });
  const suffixed = [...tokens, ...letters.map((letter) => `${letter}</w>`), 'ab</w>'];
  const prefixed = [...tokens, ...letters.map((letter) => `@@${letter}`)];
  return {
    'BPE of characters': file({}),
    'BPE that fuses': file({ fuse_unk: true }),
    'BPE without an unknown token': file({ unk_token: null }),
    'BPE with bytes': file({ byte_fallback: true }, [...tokens, ...bytes]),
    'BPE with a suffix': file({ end_of_word_suffix: '</w>', merges: [['a', 'b</w>'], ...merges] }, suffixed),
    'BPE with a prefix': file(
      {
        continuing_subword_prefix: '@@',
        merges: [
          ['a', '@@b'],
          ['ab', '@@c'],
        ],
      },
      prefixed,
    ),
  };
}

/** What the map of characters below replaces. */
export const replacements: Record<string, string> = {
  Ａ: 'A',
  ﬁ: 'fi',
  '①': '1',
  'e\u0301': 'é',
  '\u00a0': ' ',
  '\u200b': '',
  Z: 'z',
  '\u1100\u1161': '가',
};

/** A compiled map of characters, as SentencePiece writes it: a double-array trie over UTF-8, then the replacements. */
export function charsmap(map: Record<string, string>): string {
  interface Node {
    children: Map<number, Node>;
    value?: number;
  }
  const root: Node = { children: new Map() };
  let blob = Buffer.alloc(0);
  for (const [key, value] of Object.entries(map)) {
    let node = root;
    for (const byte of Buffer.from(key)) {
      if (!node.children.has(byte)) node.children.set(byte, { children: new Map() });
      node = node.children.get(byte)!;
    }
    node.value = blob.length;
    blob = Buffer.concat([blob, Buffer.from(`${value}\0`)]);
  }
  // Every node gets a block of 256 units of its own: large, but plain.
  const units: number[] = [];
  const place = (node: Node, at: number, base: number): void => {
    units[at] = ((units[at] ?? 0) & 0xff) | ((at ^ base) << 10) | (node.value === undefined ? 0 : 0x100);
    if (node.value !== undefined) units[base] = node.value | 0x80000000;
    for (const [byte, child] of node.children) {
      units[base ^ byte] = byte;
      place(child, base ^ byte, (blocks += 256));
    }
  };
  let blocks = 256;
  place(root, 0, 256);
  const array = Buffer.alloc(4 + 4 * (blocks + 256));
  array.writeUInt32LE(array.length - 4);
  for (const [i, unit] of units.entries()) if (unit !== undefined) array.writeUInt32LE(unit >>> 0, 4 + 4 * i);
  return Buffer.concat([array, blob]).toString('base64');
}

const seeds = [
  ...Array.from('abcXYZ .,!?-_\'"019\t\n\r\v\f\x1c\x85\xa0\u3000\ufeff\u200b\u200d\xad\0\ufffd'),
  ...[
    'ΑΣ',
    'ς',
    'İ',
    'ß',
    'ﬁ',
    '①',
    '½',
    'é',
    'e\u0301',
    '\u0301',
    '\u20dd',
    '한',
    '글',
    '가\u11a8',
    '\u1100\u1161\u11a7',
  ],
  ...[
    '漢',
    '𠀀',
    '𫠠',
    '豈',
    '😀',
    '👩\u200d👩\u200d👧',
    '🇰🇷',
    '、',
    '々',
    'ｱ',
    'Ａ',
    'Z',
    'ǅ',
    'Ⅷ',
    '\u0345',
    'ᾳ',
    '⹁',
    '\u0897',
  ],
  ...[
    '[CLS]',
    '[SEP]',
    '[MASK]x',
    '<s>',
    '<mask>',
    ' <mask> ',
    '▁',
    '##',
    'Ġ',
    'aa',
    'b c',
    'a b',
    'abc',
    'aaaa',
    "'ll",
    '   ',
  ],
];

/** Surrogates, and characters so new that the engine's tables of letters have them and the library's do not, or not yet. */
const unsettled =
  /[\ud800-\udfff\u088f\u0897-\u089f\u08ca-\u08e1\u0c5c\u0cdc\u1acf-\u1add\u1ae0-\u1aeb\ua7ce\ua7cf\ua7d2\ua7d4\ua7f1]|[\u{10940}-\u{1efff}]/u;

/** Texts of anything, always the same. */
export function strangeTexts(count: number): string[] {
  let state = 1;
  const random = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * n);
  };
  const character = (): string => {
    for (;;) {
      const text = String.fromCodePoint(random([0x180, 0x3000, 0x10000, 0x2b700][random(4)]!));
      if (!unsettled.test(text)) return text;
    }
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random(14) }, () => (random(5) < 3 ? seeds[random(seeds.length)]! : character())).join(''),
  );
}

const data = join('..', 'shared', 'data');
export const hasTexts = existsSync(join(data, 'scifact'));

/** Texts of KLUE-STS, KorQuAD and SciFact. */
export function realTexts(): string[] {
  const klue = json(join(data, 'klue', 'klue-sts-v1.1_dev.json')).flatMap((row: any) => [row.sentence1, row.sentence2]);
  const train = readFileSync(join(data, 'klue', 'klue_sts_train.csv'), 'utf8').split('\n');
  const korquad = json(join(data, 'korquad', 'KorQuAD_v1.0_dev.json')).data.flatMap((article: any) =>
    article.paragraphs.flatMap((p: any) => [p.context, ...p.qas.map(({ question }: any) => question)]),
  );
  const scifact = gunzipSync(readFileSync(join(data, 'scifact', 'corpus.jsonl.gz'))).toString();
  return [...klue, ...train, ...korquad, ...scifact.split('\n')].filter((text) => text !== '');
}
