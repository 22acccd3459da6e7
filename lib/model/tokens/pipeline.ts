/**
 * A tokenizer.json at work, as the `tokenizers` library runs it (https://github.com/huggingface/tokenizers): added tokens
 * are found, what is between them normalized and cut into words, and each word given to the model. Truncation,
 * padding and special tokens around a text are no part of it.
 *
 * @huggingface/tokenizers does the same but not always with the same ids (ideographs beyond 16 bits, a final sigma,
 * XLM-R's map of characters, words of Metaspace, `single_word`), and takes minutes and gigabytes for a long text without a
 * space; what is used of it here is its translation of regular expressions.
 */
import { z } from 'zod';
import { AddedTokens, addedTokenConfig } from './added-tokens.js';
import { bpe, bpeConfig } from './bpe.js';
import { createNormalizer, flatNormalizers, normalizerConfig, type NormalizerConfig } from './normalizers.js';
import { createPreTokenizer, endsInBytes, preTokenizerConfig, visibleBytes } from './pre-tokenizers.js';
import { unigram, unigramConfig } from './unigram.js';
import { idsByToken, unknownId, type Tokenize } from './vocabulary.js';
import { WordCache } from './word-cache.js';
import { wordPiece, wordPieceConfig } from './word-piece.js';

const wordLevelConfig = z.looseObject({ type: z.literal('WordLevel'), vocab: z.unknown(), unk_token: z.string() });
const modelConfig = z.discriminatedUnion('type', [wordPieceConfig, bpeConfig, unigramConfig, wordLevelConfig]);
type ModelConfig = z.output<typeof modelConfig>;

/** What a {@link TokenPipeline} reads of tokenizer.json. */
export const pipelineConfig = z.looseObject({
  model: z.preprocess(withType, modelConfig),
  normalizer: normalizerConfig.nullish(),
  pre_tokenizer: preTokenizerConfig.nullish(),
  added_tokens: z.array(addedTokenConfig).nullish(),
});
export type PipelineConfig = z.output<typeof pipelineConfig>;

/** Finds the ids of a text. */
export class TokenPipeline {
  /** The id for what is unknown, where the model has one. */
  readonly unknownId: number | undefined;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #added: ReadonlyMap<string, number>;
  readonly #raw: AddedTokens;
  readonly #normalized: AddedTokens | undefined;
  readonly #normalize: (text: string) => string;
  readonly #words: (text: string, first: boolean) => readonly string[];
  readonly #tokenize: Tokenize;

  /**
   * @param lowercase whether texts are lower-cased before everything else
   * @throws Error that says what does not hold
   */
  constructor(config: PipelineConfig, lowercase: boolean) {
    const { ids, tokenize, unknown } = createModel(config.model);
    this.unknownId = unknown;
    this.#ids = ids;
    // A token that the vocabulary has too has the vocabulary's id.
    const added = (config.added_tokens ?? []).map((token) => ({ ...token, id: ids.get(token.content) ?? token.id }));
    this.#added = new Map(added.map(({ content, id }) => [content, id]));

    const own = config.normalizer ?? undefined;
    const normalizers = flatNormalizers(own);
    // Only a normalizer of that name counts, as in sentence-transformers; lower-casing twice does no harm.
    if (lowercase && !normalizers.some(({ type }) => type === 'Lowercase')) normalizers.unshift({ type: 'Lowercase' });
    const normalize = createNormalizer({ type: 'Sequence', normalizers });
    const isNormalized = ({ special, normalized = !special }: (typeof added)[number]): boolean => normalized;
    this.#raw = new AddedTokens(added.filter((token) => !isNormalized(token)));
    const found = added.filter(isNormalized);
    this.#normalized = found.length > 0 ? new AddedTokens(found, normalize) : undefined;

    const { pre_tokenizer: pre } = config;
    const cut = pre ? createPreTokenizer(pre) : (text: string): string[] => [text];
    const model = endsInBytes(pre) ? (word: string) => tokenize(visibleBytes(word)) : tokenize;
    if (!this.#normalized && pre?.type === 'BertPreTokenizer' && normalizers.every(isLocal)) {
      // Nothing reaches across blank space: what is between is remembered as it stands in the text.
      this.#normalize = (text) => text;
      this.#words = blankWords;
      this.#tokenize = (word) => cut(normalize(word), false).flatMap(model);
    } else {
      this.#normalize = normalize;
      this.#words = cut;
      this.#tokenize = model;
    }
    this.#tokenize = new WordCache(this.#tokenize).tokenize;
  }

  /** The id of a token, also of an added one. */
  tokenToId(token: string): number | undefined {
    return this.#added.get(token) ?? this.#ids.get(token);
  }

  /** The ids of a text. `first`: whether it is a text's beginning, and not a piece of its middle. */
  encode(text: string, first = true): number[] {
    const ids: number[] = [];
    let atStart = first;
    for (const part of this.#raw.split(text)) {
      if (typeof part === 'number') ids.push(part);
      else
        for (const inner of this.#split(this.#normalize(part))) {
          if (typeof inner === 'number') ids.push(inner);
          else for (const word of this.#words(inner, atStart)) for (const id of this.#tokenize(word)) ids.push(id);
          atStart = false;
        }
      atStart = false;
    }
    return ids;
  }

  #split(text: string): readonly (number | string)[] {
    return this.#normalized ? this.#normalized.split(text) : text === '' ? [] : [text];
  }
}

/** Whether a normalizer changes the words of a text as it changes the words alone. */
const isLocal = ({ type }: NormalizerConfig): boolean => type === 'BertNormalizer' || type === 'Lowercase';

/** What is between blanks and line ends. */
function blankWords(text: string): string[] {
  const words: string[] = [];
  let start = -1;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const blank = unit === 0x20 || unit === 0x0a || unit === 0x09 || unit === 0x0d;
    if (!blank && start < 0) start = i;
    else if (blank && start >= 0) {
      words.push(text.slice(start, i));
      start = -1;
    }
  }
  if (start >= 0) words.push(text.slice(start));
  return words;
}

function createModel(config: ModelConfig): {
  ids: Map<string, number>;
  tokenize: Tokenize;
  unknown: number | undefined;
} {
  if (config.type === 'Unigram') return { ...unigram(config), unknown: config.unk_id };
  const model =
    config.type === 'WordPiece' ? wordPiece(config) : config.type === 'BPE' ? bpe(config) : wordLevel(config);
  return { ...model, unknown: unknownId(model.ids, config.unk_token) };
}

/** Every word is a token, or unknown. */
function wordLevel(config: z.output<typeof wordLevelConfig>): { ids: Map<string, number>; tokenize: Tokenize } {
  const ids = idsByToken(config.vocab);
  const unknown = unknownId(ids, config.unk_token)!;
  return { ids, tokenize: (word) => [ids.get(word) ?? unknown] };
}

/** Older files do not say of which type their model is. */
function withType(model: unknown): unknown {
  if (typeof model !== 'object' || model === null || 'type' in model) return model;
  const type =
    'merges' in model
      ? 'BPE'
      : Array.isArray((model as { vocab?: unknown }).vocab)
        ? 'Unigram'
        : 'continuing_subword_prefix' in model
          ? 'WordPiece'
          : 'WordLevel';
  return { ...model, type };
}
