/** What the families' config.json have in common. */
import { z } from 'zod';
import { activationNames } from './activations.js';

/** A size: a positive integer that a 32-bit index can count. */
export const size = z
  .number()
  .int()
  .positive()
  .max(2 ** 31 - 1);

/** A number of layers: far more than any model has, and few enough to be built. */
export const layerCount = size.max(1024);

/** Of dropping a value in training. */
export const probability = z.number().min(0).lt(1);

/** The name of an activation. */
export const activation = z.string().refine((name) => activationNames.includes(name), {
  error: (issue) => `Expected one of ${activationNames.join(', ')} but received ${JSON.stringify(issue.input)}`,
});

/** The id of the padding token, where the configuration has one. */
export const padId = (fallback: number) =>
  z
    .number()
    .int()
    .nonnegative()
    .nullish()
    .transform((id) => id ?? fallback);

/** Keys of every family but DistilBERT. `defaults` are those in which the families differ. */
export const commonKeys = (defaults: { vocabSize: number; padId: number }) => ({
  vocab_size: size.default(defaults.vocabSize),
  hidden_size: size.default(768),
  num_hidden_layers: layerCount.default(12),
  num_attention_heads: size.default(12),
  intermediate_size: size.default(3072),
  hidden_act: activation.default('gelu'),
  max_position_embeddings: size.default(512),
  type_vocab_size: size.default(2),
  initializer_range: z.number().nonnegative().default(0.02),
  layer_norm_eps: z.number().nonnegative().default(1e-12),
  pad_token_id: padId(defaults.padId),
  hidden_dropout_prob: probability.default(0.1),
  attention_probs_dropout_prob: probability.default(0.1),
  classifier_dropout: probability.nullish(),
  position_embedding_type: z.literal('absolute').nullish(),
  is_decoder: z.literal(false).nullish(),
  add_cross_attention: z.literal(false).nullish(),
});

type Common = z.output<z.ZodObject<ReturnType<typeof commonKeys>>>;

/** Our names for those keys. */
export const commonArchitecture = (c: Common) => ({
  vocabSize: c.vocab_size,
  positions: c.max_position_embeddings,
  types: c.type_vocab_size,
  hidden: c.hidden_size,
  embedding: c.hidden_size,
  layers: c.num_hidden_layers,
  heads: c.num_attention_heads,
  intermediate: c.intermediate_size,
  activation: c.hidden_act,
  epsilon: c.layer_norm_eps,
  padId: c.pad_token_id,
  initializerRange: c.initializer_range,
  dropout: {
    hidden: c.hidden_dropout_prob,
    attention: c.attention_probs_dropout_prob,
    classifier: c.classifier_dropout ?? c.hidden_dropout_prob,
    attentionOutput: true,
  },
});
