/**
 * What transformers' tokenizer classes take from elsewhere than tokenizer.json: the class that tokenizer_config.json names, or that
 * belongs to the model's type, builds parts of the tokenizer anew from tokenizer_config.json.
 */
import type { EncoderConfig, TokenizerConfig } from './configs.js';
import type { PipelineConfig } from './tokens/pipeline.js';

/** Classes without a mind of their own: they do what tokenizer.json says. */
const generic = new Set(['PreTrainedTokenizer', 'TokenizersBackend']);
const bertLike = new Set(['BertTokenizer', 'DistilBertTokenizer', 'ElectraTokenizer', 'MPNetTokenizer']);

const classOfModelType: Readonly<Record<string, string>> = {
  bert: 'BertTokenizer',
  distilbert: 'DistilBertTokenizer',
  electra: 'ElectraTokenizer',
  mpnet: 'MPNetTokenizer',
  roberta: 'RobertaTokenizer',
};

const classOf = ({ tokenizer_class: name }: TokenizerConfig, { model_type: type = '' }: EncoderConfig): string =>
  name?.replace(/Fast$/, '') ?? classOfModelType[type] ?? '';

/** The tokenizer of tokenizer.json as transformers makes it: the same object where that is what stands there. */
export function asTransformersReads<F extends PipelineConfig>(
  file: F,
  tokenizer: TokenizerConfig,
  config: EncoderConfig,
): F {
  const name = classOf(tokenizer, config);
  const { normalizer, pre_tokenizer: pre } = file;
  if (bertLike.has(name) && normalizer?.type === 'BertNormalizer') {
    const lowercase = tokenizer.do_lower_case ?? true;
    const accents = tokenizer.strip_accents ?? null;
    const ideographs = tokenizer.tokenize_chinese_chars ?? true;
    const { lowercase: l, strip_accents: a = null, handle_chinese_chars: i } = normalizer;
    if (lowercase === l && accents === a && ideographs === i) return file;
    const changed = { lowercase, strip_accents: accents, handle_chinese_chars: ideographs };
    return { ...file, normalizer: { ...normalizer, ...changed } };
  }
  if (name === 'RobertaTokenizer' && pre?.type === 'ByteLevel') {
    const spaced = tokenizer.add_prefix_space ?? false;
    return spaced === pre.add_prefix_space ? file : { ...file, pre_tokenizer: { ...pre, add_prefix_space: spaced } };
  }
  return file;
}

/** Whether transformers passes token types on to the model. */
export function passesTypes(tokenizer: TokenizerConfig, config: EncoderConfig): boolean {
  const names = tokenizer.model_input_names;
  return names ? names.includes('token_type_ids') : !generic.has(classOf(tokenizer, config));
}

/**
 * The configuration by which transformers makes the tokenizer of `file` as it stands there, and passes token types on or not.
 * Classes stay where they can do so, for transformers.js looks at them too.
 */
export function configToSave(
  file: Pick<PipelineConfig, 'normalizer' | 'pre_tokenizer' | 'model'>,
  tokenizer: TokenizerConfig,
  config: EncoderConfig,
  types: boolean,
): TokenizerConfig {
  const { normalizer, pre_tokenizer: pre, model } = file;
  const name = classOf(tokenizer, config);
  const saved: TokenizerConfig = {
    ...tokenizer,
    model_input_names: ['input_ids', ...(types ? ['token_type_ids'] : []), 'attention_mask'],
  };
  if (generic.has(name)) return saved;
  if (
    bertLike.has(name) &&
    normalizer?.type === 'BertNormalizer' &&
    model.type === 'WordPiece' &&
    (name === 'MPNetTokenizer') === (tokenizer.cls_token === '<s>')
  )
    return {
      ...saved,
      tokenizer_class: name,
      do_lower_case: normalizer.lowercase,
      strip_accents: normalizer.strip_accents ?? null,
      tokenize_chinese_chars: normalizer.handle_chinese_chars,
    };
  if (name === 'RobertaTokenizer' && pre?.type === 'ByteLevel' && model.type === 'BPE' && !normalizer)
    return { ...saved, tokenizer_class: name, add_prefix_space: pre.add_prefix_space };
  return { ...saved, tokenizer_class: 'PreTrainedTokenizerFast' };
}
