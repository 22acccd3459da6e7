/** ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555): BERT whose embeddings may be narrower than its layers. */
import { z } from 'zod';
import * as op from '../graph/ops.js';
import { bertEmbeddings, bertLayer } from './bert.js';
import type { Family } from './family.js';
import { commonArchitecture, commonKeys, size } from './schema.js';

export const electra: Family = {
  modelTypes: ['electra'],
  prefix: 'electra',
  className: () => 'Electra',
  schema: z
    .looseObject({
      ...commonKeys({ vocabSize: 30522, padId: 0 }),
      embedding_size: size.default(128),
      hidden_size: size.default(256),
      num_attention_heads: size.default(4),
      intermediate_size: size.default(1024),
    })
    .transform((c) => ({ ...commonArchitecture(c), embedding: c.embedding_size, positionsFrom: 'zero' as const })),
  layer: bertLayer,
  embed(b, a) {
    const x = bertEmbeddings(b, a);
    return a.embedding === a.hidden ? x : b.linear('embeddings_project', x, a.embedding, a.hidden);
  },
  classify(b, a, first, labels) {
    // The head's activation is GELU, whatever the layers have.
    const dense = op.gelu(
      b.graph,
      b.linear('classifier.dense', b.dropout(first, 'classifier'), a.hidden, a.hidden),
      'none',
    );
    return b.linear('classifier.out_proj', b.dropout(dense, 'classifier'), a.hidden, labels);
  },
  classifier: 'classifier.out_proj',
  pooler: false,
};
