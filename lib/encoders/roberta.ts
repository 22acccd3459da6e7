/** RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692) and its descendants XLM-R and CamemBERT. */
import { z } from 'zod';
import * as op from '../graph/ops.js';
import type { Value } from '../graph/graph.js';
import { bertEmbeddings, bertLayer } from './bert.js';
import type { Builder } from './builder.js';
import type { Architecture, Family } from './family.js';
import { commonArchitecture, commonKeys } from './schema.js';

const classNames: Readonly<Record<string, string>> = {
  roberta: 'Roberta',
  'xlm-roberta': 'XLMRoberta',
  camembert: 'Camembert',
};

/** A dense layer with tanh, then the scores. */
export function robertaHead(b: Builder, a: Architecture, first: Value, labels: number): Value {
  const dense = op.tanh(b.graph, b.linear('classifier.dense', b.dropout(first, 'classifier'), a.hidden, a.hidden));
  return b.linear('classifier.out_proj', b.dropout(dense, 'classifier'), a.hidden, labels);
}

export const roberta: Family = {
  modelTypes: Object.keys(classNames),
  prefix: 'roberta',
  className: (modelType) => classNames[modelType]!,
  schema: z
    .looseObject(commonKeys({ vocabSize: 50265, padId: 1 }))
    .transform((c) => ({ ...commonArchitecture(c), positionsFrom: 'padding' as const })),
  layer: bertLayer,
  embed: bertEmbeddings,
  classify: robertaHead,
  classifier: 'classifier.out_proj',
  pooler: true,
};
