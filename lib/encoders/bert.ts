/** BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805). */
import { z } from 'zod';
import * as op from '../graph/ops.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from './builder.js';
import type { Architecture, Family, LayerNames } from './family.js';
import { commonArchitecture, commonKeys } from './schema.js';

/** A layer's names as BERT, RoBERTa and ELECTRA have them. */
export const bertLayer = (i: number): LayerNames => ({
  query: `encoder.layer.${i}.attention.self.query`,
  key: `encoder.layer.${i}.attention.self.key`,
  value: `encoder.layer.${i}.attention.self.value`,
  attentionOutput: `encoder.layer.${i}.attention.output.dense`,
  attentionNorm: `encoder.layer.${i}.attention.output.LayerNorm`,
  intermediate: `encoder.layer.${i}.intermediate.dense`,
  output: `encoder.layer.${i}.output.dense`,
  outputNorm: `encoder.layer.${i}.output.LayerNorm`,
});

/** Word, token type and position embeddings, added and normalised. */
export function bertEmbeddings(b: Builder, a: Architecture): Value {
  const { graph, layout } = b;
  let x = b.embedding('embeddings.word_embeddings', layout.ids, a.vocabSize, a.embedding);
  if (a.types > 0)
    x = op.add(graph, x, b.embedding('embeddings.token_type_embeddings', layout.types, a.types, a.embedding));
  x = op.add(graph, x, b.embedding('embeddings.position_embeddings', layout.positions, a.positions, a.embedding));
  return b.dropout(b.normalization('embeddings.LayerNorm', x, a.embedding, a.epsilon), 'hidden');
}

export const bert: Family = {
  modelTypes: ['bert'],
  prefix: 'bert',
  className: () => 'Bert',
  schema: z
    .looseObject(commonKeys({ vocabSize: 30522, padId: 0 }))
    .transform((c) => ({ ...commonArchitecture(c), positionsFrom: 'zero' as const })),
  layer: bertLayer,
  embed: bertEmbeddings,
  classify(b, a, first, labels) {
    const pooled = op.tanh(b.graph, b.linear('pooler.dense', first, a.hidden, a.hidden));
    return b.linear('classifier', b.dropout(pooled, 'classifier'), a.hidden, labels);
  },
  classifier: 'classifier',
  pooler: true,
};
