/** The normalizers of a tokenizer.json: text in, text out, as the `tokenizers` library does it. */
import { z } from 'zod';
import { anyMark, control, ideograph, mark, pattern, space } from './characters.js';
import { regExpOf, stringPattern } from './patterns.js';
import { Precompiled } from './precompiled.js';

/** Changes a text before it is cut into words. */
export type Normalize = (text: string) => string;

const bert = z.looseObject({
  type: z.literal('BertNormalizer'),
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().nullish(),
  lowercase: z.boolean().default(true),
});

/** What tokenizer.json says under `normalizer`. */
export type NormalizerConfig =
  | z.output<typeof bert>
  | { type: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' | 'Lowercase' | 'StripAccents' | 'Nmt' }
  | { type: 'Strip'; strip_left: boolean; strip_right: boolean }
  | { type: 'Prepend'; prepend: string }
  | { type: 'Replace'; pattern: z.output<typeof stringPattern>; content: string }
  | { type: 'Precompiled'; precompiled_charsmap: string | null }
  | { type: 'Sequence'; normalizers: NormalizerConfig[] };

export const normalizerConfig: z.ZodType<NormalizerConfig> = z.lazy(() =>
  z.discriminatedUnion('type', [
    bert,
    z.looseObject({ type: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents', 'Nmt']) }),
    z.looseObject({ type: z.literal('Strip'), strip_left: z.boolean(), strip_right: z.boolean() }),
    z.looseObject({ type: z.literal('Prepend'), prepend: z.string() }),
    z.looseObject({ type: z.literal('Replace'), pattern: stringPattern, content: z.string() }),
    z.looseObject({ type: z.literal('Precompiled'), precompiled_charsmap: z.string().nullable() }),
    z.looseObject({ type: z.literal('Sequence'), normalizers: z.array(normalizerConfig).max(64) }),
  ]),
);

/** A normalizer and those inside it, in their order. */
export function flatNormalizers(config: NormalizerConfig | null | undefined): NormalizerConfig[] {
  if (!config) return [];
  return config.type === 'Sequence' ? config.normalizers.flatMap(flatNormalizers) : [config];
}

/**
 * The function that a configuration describes.
 * @throws Error that says what does not hold
 */
export function createNormalizer(config: NormalizerConfig): Normalize {
  switch (config.type) {
    case 'BertNormalizer':
      return bertNormalizer(config);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const { type } = config;
      return (text) => (isAscii(text) ? text : text.normalize(type));
    }
    case 'Lowercase':
      return lowercase;
    case 'StripAccents':
      return replacing(anyMark, '');
    case 'Nmt':
      return nmt;
    case 'Strip':
      return strip(config);
    case 'Prepend':
      return (text) => (text === '' ? text : config.prepend + text);
    case 'Replace': {
      const found = regExpOf(config.pattern);
      return (text) =>
        bounded(
          text.replace(found, () => config.content),
          text,
        );
    }
    case 'Precompiled': {
      if (!config.precompiled_charsmap) return (text) => text;
      const map = Precompiled.fromBase64(config.precompiled_charsmap);
      return (text) => map.normalize(text);
    }
    case 'Sequence': {
      const steps = config.normalizers.map(createNormalizer);
      return (text) => steps.reduce((result, step) => step(result), text);
    }
  }
}

/** @throws Error where a step makes far more of a text than it was, as only a file that means harm does step after step */
function bounded(text: string, before: string): string {
  if (text.length <= Math.max(longestText, before.length)) return text;
  throw new Error(`a normalizer made more than ${longestText} characters of a text`);
}
const longestText = 1 << 24;

const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text);

function replacing(source: string, replacement: string): Normalize {
  const found = pattern(source);
  return (text) => text.replace(found, replacement);
}

/** Character by character: only so does a sigma at the end of a word stay the same as elsewhere. */
const lowercase: Normalize = (text) =>
  text.includes('Σ') ? Array.from(text, (c) => c.toLowerCase()).join('') : text.toLowerCase();

function bertNormalizer(config: z.output<typeof bert>): Normalize {
  const steps: Normalize[] = [];
  if (config.clean_text) steps.push(replacing(`\\0|\\ufffd|${control}`, ''), replacing(space, ' '));
  if (config.handle_chinese_chars) steps.push(replacing(ideograph, ' $& '));
  if (config.strip_accents ?? config.lowercase) {
    const marks = pattern(mark);
    steps.push((text) => text.normalize('NFD').replace(marks, ''));
  }
  if (config.lowercase) steps.push(lowercase);
  // Most words have nothing to clean, split or strip: printable ASCII, and Hangul unless it is taken apart.
  const special = (config.strip_accents ?? config.lowercase) ? /[^\x20-\x7e]/ : /[^\x20-\x7e\uac00-\ud7a3]/;
  const plain: Normalize = config.lowercase ? (text) => text.toLowerCase() : (text) => text;
  return (text) => (special.test(text) ? steps.reduce((result, step) => step(result), text) : plain(text));
}

function strip({ strip_left: left, strip_right: right }: { strip_left: boolean; strip_right: boolean }): Normalize {
  const blank = new RegExp(space, 'u');
  return (text) => {
    let [start, end] = [0, text.length];
    if (left) while (start < end && blank.test(text[start]!)) start++;
    if (right) while (start < end && blank.test(text[end - 1]!)) end--;
    return text.slice(start, end);
  };
}

/** Control characters go, and what is a space of some kind becomes one. */
const nmt: Normalize = (text) =>
  text
    .replace(/[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g, '')
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, ' ');
