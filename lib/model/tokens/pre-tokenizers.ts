/** The pre-tokenizers of a tokenizer.json: text in, words out, as the `tokenizers` library cuts them. */
import { z } from 'zod';
import { pattern, punctuation, space, unpunctuated, word } from './characters.js';
import { regExpOf, split, splitBehavior, stringPattern } from './patterns.js';

/** Cuts a text into the words that the model tokenizes one by one. `first`: whether it begins the whole text. */
export type PreTokenize = (text: string, first: boolean) => readonly string[];

const metaspace = z.looseObject({
  type: z.literal('Metaspace'),
  replacement: z.string().refine((text) => Array.from(text).length === 1, 'one character'),
  prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
  add_prefix_space: z.boolean().optional(),
  split: z.boolean().default(true),
});

/** What tokenizer.json says under `pre_tokenizer`. */
export type PreTokenizerConfig =
  | z.output<typeof metaspace>
  | { type: 'BertPreTokenizer' | 'Whitespace' | 'WhitespaceSplit' }
  | { type: 'ByteLevel'; add_prefix_space: boolean; use_regex: boolean }
  | { type: 'Punctuation'; behavior: z.output<typeof splitBehavior> }
  | { type: 'Digits'; individual_digits: boolean }
  | { type: 'CharDelimiterSplit'; delimiter: string }
  | {
      type: 'Split';
      pattern: z.output<typeof stringPattern>;
      behavior: z.output<typeof splitBehavior>;
      invert: boolean;
    }
  | { type: 'Sequence'; pretokenizers: PreTokenizerConfig[] };

export const preTokenizerConfig: z.ZodType<PreTokenizerConfig> = z.lazy(() =>
  z.discriminatedUnion('type', [
    metaspace,
    z.looseObject({ type: z.enum(['BertPreTokenizer', 'Whitespace', 'WhitespaceSplit']) }),
    z.looseObject({
      type: z.literal('ByteLevel'),
      add_prefix_space: z.boolean().default(true),
      use_regex: z.boolean().default(true),
    }),
    z.looseObject({ type: z.literal('Punctuation'), behavior: splitBehavior.default('Isolated') }),
    z.looseObject({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) }),
    z.looseObject({ type: z.literal('CharDelimiterSplit'), delimiter: z.string().min(1) }),
    z.looseObject({
      type: z.literal('Split'),
      pattern: stringPattern,
      behavior: splitBehavior,
      invert: z.boolean().default(false),
    }),
    z.looseObject({ type: z.literal('Sequence'), pretokenizers: z.array(preTokenizerConfig).max(64) }),
  ]),
);

/**
 * The function that a configuration describes.
 * @throws Error that says what does not hold
 */
export function createPreTokenizer(config: PreTokenizerConfig): PreTokenize {
  switch (config.type) {
    case 'BertPreTokenizer': {
      const words = pattern(`${punctuation}|${unpunctuated}`);
      // Of printable ASCII and Hangul alone the classes are short.
      const plain = /[!-/:-@[-`{-~]|[^ !-/:-@[-`{-~]+/g;
      const special = /[^\x20-\x7e\u1100-\u11ff\uac00-\ud7a3]/;
      return (text) => text.match(special.test(text) ? words : plain) ?? [];
    }
    case 'Whitespace': {
      const words = pattern(`[${word}]+|[^${word}${space}]+`);
      return (text) => text.match(words) ?? [];
    }
    case 'WhitespaceSplit': {
      const words = pattern(`[^${space}]+`);
      return (text) => text.match(words) ?? [];
    }
    case 'ByteLevel':
      return byteLevel(config.add_prefix_space, config.use_regex);
    case 'Metaspace':
      return metaspacePreTokenizer(config);
    case 'Punctuation': {
      const found = pattern(punctuation);
      return (text) => split(text, found, config.behavior);
    }
    case 'Digits':
      return (text) => split(text, /\p{N}/gu, config.individual_digits ? 'Isolated' : 'Contiguous');
    case 'CharDelimiterSplit': {
      const found = regExpOf({ String: config.delimiter });
      return (text) => split(text, found, 'Removed');
    }
    case 'Split': {
      const found = regExpOf(config.pattern);
      return (text) => split(text, found, config.behavior, config.invert);
    }
    case 'Sequence': {
      if (config.pretokenizers.slice(0, -1).some(endsInBytes)) throw new Error('its ByteLevel is not the last step');
      const steps = config.pretokenizers.map(createPreTokenizer);
      return (text, first) =>
        steps.reduce<readonly string[]>(
          (words, step) => words.flatMap((part, i) => (part === '' ? [] : step(part, first && i === 0))),
          [text],
        );
    }
  }
}

/**
 * GPT-2's words. That their bytes become visible characters is left to {@link visibleBytes}, so that the words found
 * before need not go through it.
 */
function byteLevel(addPrefixSpace: boolean, useRegex: boolean): PreTokenize {
  const words = pattern(
    `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}]+|${space}+(?!\\P{White_Space})|${space}+`,
  );
  return (text) => {
    const spaced = addPrefixSpace && !text.startsWith(' ') ? ` ${text}` : text;
    return useRegex ? (spaced.match(words) ?? []) : [spaced];
  };
}

/** Whether the words of a pre-tokenizer go to the model byte by byte. */
export function endsInBytes(config: PreTokenizerConfig | null | undefined): boolean {
  return config?.type === 'Sequence' ? endsInBytes(config.pretokenizers.at(-1)) : config?.type === 'ByteLevel';
}

/** The visible character of each byte (Radford et al. 2019): itself where it is one, else from U+0100 on. */
const byteCharacters: readonly string[] = (() => {
  let other = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const visible = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(visible ? byte : other++);
  });
})();

/** The UTF-8 bytes of a text as visible characters. */
export function visibleBytes(text: string): string {
  let result = '';
  for (const byte of Buffer.from(text)) result += byteCharacters[byte]!;
  return result;
}

function metaspacePreTokenizer(config: z.output<typeof metaspace>): PreTokenize {
  const { replacement } = config;
  const scheme = config.prepend_scheme ?? (config.add_prefix_space === false ? 'never' : 'always');
  return (text, first) => {
    let marked = text.replaceAll(' ', () => replacement);
    if (!marked.startsWith(replacement) && (scheme === 'always' || (scheme === 'first' && first)))
      marked = replacement + marked;
    if (!config.split) return [marked];
    const words: string[] = [];
    for (let from = 0; from < marked.length;) {
      const to = marked.indexOf(replacement, from + replacement.length);
      words.push(marked.slice(from, to < 0 ? undefined : to));
      from = to < 0 ? marked.length : to;
    }
    return words;
  };
}
