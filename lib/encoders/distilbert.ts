/** DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108): BERT without token types, with names of its own. */
import { z } from 'zod';
import * as op from '../graph/ops.js';
import { bertEmbeddings } from './bert.js';
import type { Family } from './family.js';
import { activation, layerCount, padId, probability, size } from './schema.js';

export const distilbert: Family = {
  modelTypes: ['distilbert'],
  prefix: 'distilbert',
  className: () => 'DistilBert',
  schema: z
    .looseObject({
      vocab_size: size.default(30522),
      dim: size.default(768),
      n_layers: layerCount.default(6),
      n_heads: size.default(12),
      hidden_dim: size.default(3072),
      activation: activation.default('gelu'),
      max_position_embeddings: size.default(512),
      initializer_range: z.number().nonnegative().default(0.02),
      pad_token_id: padId(0),
      dropout: probability.default(0.1),
      attention_dropout: probability.default(0.1),
      seq_classif_dropout: probability.default(0.2),
    })
    .transform((c) => ({
      vocabSize: c.vocab_size,
      positions: c.max_position_embeddings,
      types: 0,
      hidden: c.dim,
      embedding: c.dim,
      layers: c.n_layers,
      heads: c.n_heads,
      intermediate: c.hidden_dim,
      activation: c.activation,
      epsilon: 1e-12,
      padId: c.pad_token_id,
      positionsFrom: 'zero' as const,
      initializerRange: c.initializer_range,
      dropout: {
        hidden: c.dropout,
        attention: c.attention_dropout,
        classifier: c.seq_classif_dropout,
        attentionOutput: false,
      },
    })),
  layer: (i) => ({
    query: `transformer.layer.${i}.attention.q_lin`,
    key: `transformer.layer.${i}.attention.k_lin`,
    value: `transformer.layer.${i}.attention.v_lin`,
    attentionOutput: `transformer.layer.${i}.attention.out_lin`,
    attentionNorm: `transformer.layer.${i}.sa_layer_norm`,
    intermediate: `transformer.layer.${i}.ffn.lin1`,
    output: `transformer.layer.${i}.ffn.lin2`,
    outputNorm: `transformer.layer.${i}.output_layer_norm`,
  }),
  embed: bertEmbeddings,
  classify(b, a, first, labels) {
    const dense = op.relu(b.graph, b.linear('pre_classifier', first, a.hidden, a.hidden));
    return b.linear('classifier', b.dropout(dense, 'classifier'), a.hidden, labels);
  },
  classifier: 'classifier',
  pooler: false,
};
