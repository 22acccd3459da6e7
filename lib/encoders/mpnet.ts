/**
 * MPNet (Song et al. 2020, https://arxiv.org/abs/2004.09297): BERT without token types, positions as in fairseq, and a
 * bias on attention by relative position, shared by all layers, as in T5 (Raffel et al. 2020).
 */
import { z } from 'zod';
import { bertEmbeddings } from './bert.js';
import type { Family } from './family.js';
import { robertaHead } from './roberta.js';
import { commonArchitecture, commonKeys, size } from './schema.js';

export const mpnet: Family = {
  modelTypes: ['mpnet'],
  prefix: 'mpnet',
  className: () => 'MPNet',
  schema: z
    .looseObject({
      ...commonKeys({ vocabSize: 30527, padId: 1 }),
      relative_attention_num_buckets: size.min(32).default(32),
    })
    .transform((c) => ({
      ...commonArchitecture(c),
      types: 0,
      padId: 1, // transformers fixes it here, whatever the configuration says
      positionsFrom: 'padding' as const,
      relativeBuckets: c.relative_attention_num_buckets,
    })),
  layer: (i) => ({
    query: `encoder.layer.${i}.attention.attn.q`,
    key: `encoder.layer.${i}.attention.attn.k`,
    value: `encoder.layer.${i}.attention.attn.v`,
    attentionOutput: `encoder.layer.${i}.attention.attn.o`,
    attentionNorm: `encoder.layer.${i}.attention.LayerNorm`,
    intermediate: `encoder.layer.${i}.intermediate.dense`,
    output: `encoder.layer.${i}.output.dense`,
    outputNorm: `encoder.layer.${i}.output.LayerNorm`,
  }),
  embed: bertEmbeddings,
  classify: robertaHead,
  classifier: 'classifier.out_proj',
  pooler: true,
};
