/** Text to token ids: `tokens/` for the text itself; truncation, special tokens and checks here. */
import { join } from 'node:path';
import { z } from 'zod';
import { FlatrankError } from '../errors.js';
import type { EncoderConfig, TokenizerConfig } from './configs.js';
import { readJson } from './json-file.js';
import { pieces } from './long-text.js';
import { addedTokens, postProcessor, templatesOf, type TemplateItem, type Templates } from './template.js';
import { asTransformersReads, passesTypes } from './tokenizer-class.js';
import { flatNormalizers } from './tokens/normalizers.js';
import { pipelineConfig, TokenPipeline } from './tokens/pipeline.js';
import { keep, longestFirst, type TruncationSide } from './truncation.js';

/** The tokens of one text or pair, special tokens included. */
export interface Tokens {
  readonly ids: number[];
  readonly typeIds: number[];
  /** Whether tokens were dropped to fit. */
  readonly truncated: boolean;
}

/** What {@link TextTokenizer.load} takes besides the directory. */
export interface TokenizerOptions {
  readonly config: EncoderConfig;
  readonly tokenizerConfig: TokenizerConfig;
  /** Whether texts are lower-cased before everything else. */
  readonly lowercase: boolean;
}

/** tokenizer.json. Of its `truncation` and `padding`, which its last user left there, the side counts. */
const tokenizerFile = pipelineConfig.extend({
  post_processor: postProcessor.nullish(),
  truncation: z.looseObject({ direction: z.string().optional() }).nullish(),
});
type TokenizerFile = z.output<typeof tokenizerFile>;

/** A tokenizer as sentence-transformers uses it: truncation "longest_first", special tokens around, no padding. */
export class TextTokenizer {
  /** The id that fills a batch up. */
  readonly padId: number;
  readonly #pipeline: TokenPipeline;
  readonly #templates: Templates;
  readonly #side: TruncationSide;
  readonly #vocabSize: number;
  readonly #oneType: boolean;
  readonly #whole: boolean;
  readonly #unbroken: boolean;
  readonly #specialIds: ReadonlySet<number>;
  readonly #emptyId: number;
  #query: { readonly text: string; readonly room: number; readonly ids: readonly number[] } | undefined;

  private constructor(path: string, file: TokenizerFile, o: TokenizerOptions) {
    const { config, tokenizerConfig } = o;
    this.#pipeline = construct(path, file, o.lowercase);
    const lookUp = (token: string): number | undefined => this.#pipeline.tokenToId(token);
    const required = (role: string, token: string): number => {
      const id = lookUp(token);
      if (id === undefined) throw broken(path, `its ${role} '${token}' is not in its vocabulary`);
      return id;
    };

    const pad =
      tokenizerConfig.pad_token != null ? required('padding token', tokenizerConfig.pad_token) : config.pad_token_id;
    if (pad == null) throw broken(path, 'it has no padding token');
    this.padId = pad;
    this.#emptyId = this.#pipeline.unknownId ?? pad;
    try {
      this.#templates = templatesOf(file.post_processor, (token, id) => {
        if (lookUp(token) !== id) throw new Error(`its special token '${token}' is not in its vocabulary as ${id}`);
        return id;
      });
    } catch (error) {
      throw broken(path, (error as Error).message);
    }
    const needsSpecial = tokenizerConfig.cls_token ?? tokenizerConfig.sep_token;
    if (needsSpecial != null && addedTokens(this.#templates.single) === 0)
      throw broken(path, `it names '${needsSpecial}' but puts no special tokens around a text`);

    this.#side = tokenizerConfig.truncation_side ?? (file.truncation?.direction === 'Left' ? 'left' : 'right');
    this.#vocabSize = config.vocab_size ?? Infinity;
    this.#oneType = (config.type_vocab_size ?? 1) <= 1 || !passesTypes(tokenizerConfig, config);
    this.#specialIds = new Set((file.added_tokens ?? []).filter((t) => t.special).map(({ id }) => id));
    this.#whole = changesAtStart(file.normalizer);
    this.#unbroken = file.model.type === 'WordPiece';
    this.#checkIds(path, this.#templates.pair, config.type_vocab_size ?? Infinity);
  }

  /**
   * Reads tokenizer.json in `directory`.
   * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` where it is not JSON, `ERR_TOKENIZER` where it describes no tokenizer
   *   or one without the special tokens that it names or needs
   */
  static async load(directory: string, o: TokenizerOptions): Promise<TextTokenizer> {
    const path = join(directory, 'tokenizer.json');
    const json = await readJson(path, z.unknown());
    const file = tokenizerFile.safeParse(json);
    if (!file.success) throw broken(path, z.prettifyError(file.error));
    return new TextTokenizer(path, asTransformersReads(file.data, o.tokenizerConfig, o.config), o);
  }

  /** Special tokens around one text (1) or a pair (2). */
  specialTokens(texts: 1 | 2): number {
    return addedTokens(texts === 1 ? this.#templates.single : this.#templates.pair);
  }

  /** The tokens of one text, at most `maxLength`. */
  single(text: string, maxLength: number): Tokens {
    const room = Math.max(0, maxLength - this.specialTokens(1));
    const ids = this.ids(text, room);
    return this.#fill(this.#templates.single, [keep(ids, room, this.#side)], ids.length > room);
  }

  /** The tokens of a pair, at most `maxLength` together; what is too much comes off the longer text first. */
  pair(first: string, second: string, maxLength: number): Tokens {
    const room = Math.max(0, maxLength - this.specialTokens(2));
    let a = this.#queryIds(first, room);
    let b = this.ids(second, room);
    if (a.length > room && b.length > room) {
      // Which of the two is longer decides who gets an odd token: here the counts must be whole.
      a = this.ids(first);
      b = this.ids(second);
    }
    const [keepA, keepB] = longestFirst(a.length, b.length, room);
    const truncated = a.length > keepA || b.length > keepB;
    return this.#fill(this.#templates.pair, [keep(a, keepA, this.#side), keep(b, keepB, this.#side)], truncated);
  }

  /** Length of a text in tokens, special tokens included, before truncation. */
  count(text: string): number {
    return this.ids(text).length + this.specialTokens(1);
  }

  /**
   * Tokens that a prompt puts before a text: its own, without a special token at the end, as sentence-transformers
   * counts them to leave them out of pooling.
   */
  promptLength(prompt: string, maxLength: number): number {
    const { ids } = this.single(prompt, maxLength);
    return ids.length - (this.#specialIds.has(ids.at(-1)!) ? 1 : 0);
  }

  /**
   * Ids of a text without special tokens. Where more than `limit` are found, the rest of a long text may be left out.
   * @throws FlatrankError `ERR_TOKENIZER` where an id is outside the model's vocabulary, or the text is too long for it
   */
  ids(text: string, limit = Infinity): number[] {
    const all: number[] = [];
    const enough = this.#side === 'right' ? limit : Infinity;
    const parts = this.#whole ? [text] : pieces(text, this.#unbroken || enough === Infinity);
    for (const part of parts) {
      for (const id of this.#encode(part, all.length === 0)) all.push(id);
      if (all.length > enough) break;
    }
    return all;
  }

  /** Ids of a pair's first text, remembered: a query is ranked against one document after another. */
  #queryIds(text: string, room: number): readonly number[] {
    if (this.#query?.text !== text || this.#query.room !== room)
      this.#query = { text, room, ids: this.ids(text, room) };
    return this.#query.ids;
  }

  #encode(text: string, first: boolean): readonly number[] {
    let ids: readonly number[];
    try {
      ids = this.#pipeline.encode(text, first);
    } catch (error) {
      throw new FlatrankError(
        'ERR_TOKENIZER',
        `The tokenizer failed on a text of ${text.length} characters: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    for (const id of ids)
      if (!(id >= 0 && id < this.#vocabSize))
        throw new FlatrankError(
          'ERR_TOKENIZER',
          `Expected token ids below the model's vocab_size ${this.#vocabSize} but the tokenizer gave ${id}`,
        );
    return ids;
  }

  #fill(template: readonly TemplateItem[], texts: readonly (readonly number[])[], truncated: boolean): Tokens {
    const ids: number[] = [];
    const typeIds: number[] = [];
    for (const entry of template) {
      const typeId = this.#oneType ? 0 : entry.typeId;
      for (const id of 'ids' in entry ? entry.ids : texts[entry.text]!) {
        ids.push(id);
        typeIds.push(typeId);
      }
    }
    // A model needs at least one token: an empty text without special tokens is one unknown token.
    if (ids.length === 0) return { ids: [this.#emptyId], typeIds: [0], truncated };
    return { ids, typeIds, truncated };
  }

  #checkIds(path: string, template: readonly TemplateItem[], typeCount: number): void {
    for (const entry of template) {
      const ids = 'ids' in entry ? entry.ids : [this.padId, this.#emptyId];
      if (ids.some((id) => !(id >= 0 && id < this.#vocabSize)))
        throw broken(path, `special tokens ${ids.join(', ')} are outside the model's vocabulary of ${this.#vocabSize}`);
      if (!this.#oneType && entry.typeId >= typeCount)
        throw broken(path, `it uses token type ${entry.typeId} but the model knows ${typeCount}`);
    }
  }
}

function construct(path: string, file: TokenizerFile, lowercase: boolean): TokenPipeline {
  try {
    return new TokenPipeline(file, lowercase);
  } catch (error) {
    throw broken(path, error instanceof Error ? error.message : String(error));
  }
}

/** Whether a normalizer treats the start of a text otherwise than its middle, so that a text must stay whole. */
const changesAtStart = (normalizer: TokenizerFile['normalizer']): boolean =>
  flatNormalizers(normalizer).some((n) => n.type === 'Prepend' || (n.type === 'Strip' && n.strip_left));

function broken(path: string, why: string): FlatrankError {
  return new FlatrankError('ERR_TOKENIZER', `Expected ${path} to be a tokenizer this model can use but ${why}`);
}
