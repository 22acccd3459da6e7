/** The special tokens around a text or a pair, from the `post_processor` of a tokenizer.json. */
import { z } from 'zod';

/** One place in a template: a special token, or the tokens of the first or second text. */
export type TemplateItem =
  { readonly ids: readonly number[]; readonly typeId: number } | { readonly text: 0 | 1; readonly typeId: number };

/** What surrounds a single text and a pair. */
export interface Templates {
  readonly single: readonly TemplateItem[];
  readonly pair: readonly TemplateItem[];
}

const typeId = z.number().int().nonnegative().default(0);
const namedToken = z.tuple([z.string(), z.number().int().nonnegative()]);
const item = z.union([
  z.object({ SpecialToken: z.object({ id: z.string(), type_id: typeId }) }),
  z.object({ Sequence: z.object({ id: z.enum(['A', 'B']), type_id: typeId }) }),
]);
const specialToken = z.object({
  ids: z.array(z.number().int().nonnegative()),
  tokens: z.array(z.string()),
});

/** The post-processors that the `tokenizers` library writes. */
type PostProcessor =
  | { type: 'ByteLevel' }
  | {
      type: 'TemplateProcessing';
      single: z.output<typeof item>[];
      pair: z.output<typeof item>[];
      special_tokens: Record<string, z.output<typeof specialToken>>;
    }
  | { type: 'BertProcessing' | 'RobertaProcessing'; sep: [string, number]; cls: [string, number] }
  | { type: 'Sequence'; processors: PostProcessor[] };

export const postProcessor: z.ZodType<PostProcessor> = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.looseObject({ type: z.literal('ByteLevel') }),
    z.looseObject({
      type: z.literal('TemplateProcessing'),
      single: z.array(item),
      pair: z.array(item).default([]),
      special_tokens: z.record(z.string(), specialToken).default({}),
    }),
    z.looseObject({ type: z.enum(['BertProcessing', 'RobertaProcessing']), sep: namedToken, cls: namedToken }),
    z.looseObject({ type: z.literal('Sequence'), processors: z.array(postProcessor).max(16) }),
  ]),
);

/** Looks a token up in the vocabulary and fails where it is not there under that id. */
export type CheckToken = (token: string, id: number) => number;

const plain: Templates = {
  single: [{ text: 0, typeId: 0 }],
  pair: [
    { text: 0, typeId: 0 },
    { text: 1, typeId: 1 },
  ],
};

/**
 * The templates of a post-processor; without one, the texts alone.
 * @throws Error that says what does not hold: a template without its texts, several at once, or what `check` finds
 */
export function templatesOf(processor: PostProcessor | null | undefined, check: CheckToken): Templates {
  // Byte-level post-processing moves offsets, not tokens.
  const all = flatten(processor).filter((p) => p.type !== 'ByteLevel');
  if (all.length > 1) throw new Error('it has several post-processors that add tokens');
  const [only] = all;
  if (only === undefined) return plain;
  if (only.type === 'TemplateProcessing') {
    const compile = (items: z.output<typeof item>[]): TemplateItem[] =>
      items.map((entry) => {
        if ('Sequence' in entry) return { text: entry.Sequence.id === 'A' ? 0 : 1, typeId: entry.Sequence.type_id };
        const { id, type_id: typeId } = entry.SpecialToken;
        const special = Object.hasOwn(only.special_tokens, id) ? only.special_tokens[id] : undefined;
        if (special?.ids.length !== special?.tokens.length || !special?.ids.length)
          throw new Error(`its template names the special token '${id}' but does not define it`);
        return { ids: special.tokens.map((token, i) => check(token, special.ids[i]!)), typeId };
      });
    const templates = {
      single: compile(only.single),
      pair: compile(only.pair.length > 0 ? only.pair : pairOf(only.single)),
    };
    checkTexts(templates);
    return templates;
  }
  const cls = { ids: [check(...only.cls)], typeId: 0 };
  const sep = { ids: [check(...only.sep)], typeId: 0 };
  const single: TemplateItem[] = [cls, { text: 0, typeId: 0 }, sep];
  // RoBERTa knows one token type, and puts two separators between the texts.
  return only.type === 'RobertaProcessing'
    ? { single, pair: [...single, sep, { text: 1, typeId: 0 }, sep] }
    : { single, pair: [...single, { text: 1, typeId: 1 }, { ...sep, typeId: 1 }] };
}

/** Special tokens that a template adds. */
export function addedTokens(template: readonly TemplateItem[]): number {
  return template.reduce((sum, entry) => sum + ('ids' in entry ? entry.ids.length : 0), 0);
}

function flatten(processor: PostProcessor | null | undefined): Exclude<PostProcessor, { type: 'Sequence' }>[] {
  if (!processor) return [];
  return processor.type === 'Sequence' ? processor.processors.flatMap(flatten) : [processor];
}

/** A template for pairs where only one for single texts is given: the second text follows with type 1. */
function pairOf(single: z.output<typeof item>[]): z.output<typeof item>[] {
  return [...single, { Sequence: { id: 'B', type_id: 1 } }];
}

function checkTexts({ single, pair }: Templates): void {
  const texts = (items: readonly TemplateItem[]): string =>
    items.flatMap((entry) => ('text' in entry ? [entry.text] : [])).join();
  if (texts(single) !== '0' || texts(pair) !== '0,1')
    throw new Error('its template does not hold each text once, in order');
}
