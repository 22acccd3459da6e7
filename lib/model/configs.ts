/** The configuration files of a Hugging Face model directory, as far as they bear on inference. */
import { z } from 'zod';

const count = z.number().int().nonnegative();

/** config.json of transformers. */
export const encoderConfig = z.looseObject({
  model_type: z.string().optional(),
  architectures: z.array(z.string()).nullish(),
  vocab_size: count.optional(),
  type_vocab_size: count.optional(),
  max_position_embeddings: z.number().int().nullish(),
  pad_token_id: z.number().int().nullish(),
  /** Written by sentence-transformers 4 and later for a cross-encoder. */
  sentence_transformers: z.looseObject({ activation_fn: z.string().nullish() }).nullish(),
  /** The same, before version 4. */
  sbert_ce_default_activation_function: z.string().nullish(),
});
export type EncoderConfig = z.output<typeof encoderConfig>;

/** tokenizer_config.json of transformers. A token is its text, or an object with its `content`. */
const token = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
export const tokenizerConfig = z.looseObject({
  model_max_length: z.number().nullish(),
  truncation_side: z.enum(['left', 'right']).nullish(),
  tokenizer_class: z.string().nullish(),
  model_input_names: z.array(z.string()).nullish(),
  do_lower_case: z.boolean().nullish(),
  strip_accents: z.boolean().nullish(),
  tokenize_chinese_chars: z.boolean().nullish(),
  add_prefix_space: z.boolean().nullish(),
  pad_token: token.nullish(),
  cls_token: token.nullish(),
  sep_token: token.nullish(),
});
export type TokenizerConfig = z.output<typeof tokenizerConfig>;

/** modules.json of sentence-transformers: the modules in their order. */
export const modulesConfig = z.array(z.looseObject({ path: z.string(), type: z.string() }));

/** config_sentence_transformers.json. */
export const sentenceTransformersConfig = z.looseObject({
  prompts: z.record(z.string(), z.string().nullable()).nullish(),
  default_prompt_name: z.string().nullish(),
  similarity_fn_name: z.string().nullish(),
  truncate_dim: z.number().int().positive().nullish(),
  activation_fn: z.string().nullish(),
});
export type SentenceTransformersConfig = z.output<typeof sentenceTransformersConfig>;

const processorArguments = z.looseObject({ model_max_length: count.nullish() }).nullish();

/** sentence_bert_config.json, the configuration of the Transformer module. */
export const transformerConfig = z.looseObject({
  max_seq_length: count.nullish(),
  do_lower_case: z.boolean().nullish(),
  /** What the tokenizer is made with, by its name before version 6 and since. */
  tokenizer_args: processorArguments,
  processor_kwargs: processorArguments,
  /** What the tokenizer is called with. */
  processing_kwargs: z.looseObject({ text: z.looseObject({ max_length: count.nullish() }).nullish() }).nullish(),
  /** Lengths of their own for queries and documents, as late interaction wants them. */
  query_length: count.nullish(),
  document_length: count.nullish(),
});
export type TransformerConfig = z.output<typeof transformerConfig>;

/** The names that file has had. The first that is there counts. */
export const transformerConfigNames: readonly string[] = [
  'bert',
  'roberta',
  'distilbert',
  'camembert',
  'albert',
  'xlm-roberta',
  'xlnet',
].map((family) => `sentence_${family}_config.json`);

/** config.json of a Dense module. */
export const denseConfig = z.looseObject({
  in_features: count.min(1),
  out_features: count.min(1),
  bias: z.boolean().default(true),
  activation_function: z.string().nullish(),
  module_input_name: z.string().nullish(),
  module_output_name: z.string().nullish(),
  use_residual: z.boolean().nullish(),
});

/** config.json of a Normalize module. */
export const normalizeConfig = z.looseObject({
  module_input_name: z.string().nullish(),
  module_output_name: z.string().nullish(),
});
