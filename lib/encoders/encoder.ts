/** An encoder's graph, from the embeddings to the token vectors or class scores. */
import type { Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import { activate } from './activations.js';
import type { Builder } from './builder.js';
import type { Encoder } from './families.js';
import type { Columns } from './layout.js';
import { relativeBias } from './relative-bias.js';

/**
 * The transformer of Vaswani et al. 2017, normalised after each part, as every family here has it.
 * @param first whether only each text's first token is wanted: the last layer then computes no other
 * @returns (T, hidden), or with `first` (n, hidden)
 */
export function tokenVectors(b: Builder, { family, architecture: a }: Encoder, first: boolean): Value {
  const { graph, layout } = b;
  let x = family.embed(b, a);
  const bias = relativeBias(b, a);
  for (let i = 0; i < a.layers; i++) {
    const names = family.layer(i);
    const onlyFirst = first && i === a.layers - 1;
    const input = onlyFirst ? layout.first(x) : x;
    const [q, k, v] = (
      onlyFirst
        ? [
            ...b.linears([names.query], input, a.hidden, a.hidden),
            ...b.linears([names.key, names.value], x, a.hidden, a.hidden),
          ]
        : b.linears([names.query, names.key, names.value], x, a.hidden, a.hidden)
    ) as [Columns, Columns, Columns];
    const context = layout.attention(q, k, v, { heads: a.heads, bias, first: onlyFirst });
    const projected = b.linear(names.attentionOutput, context, a.hidden, a.hidden);
    const attended = op.add(graph, a.dropout.attentionOutput ? b.dropout(projected, 'hidden') : projected, input);
    const middle = b.normalization(names.attentionNorm, attended, a.hidden, a.epsilon);
    const wide = activate(graph, a.activation, b.linear(names.intermediate, middle, a.hidden, a.intermediate));
    const narrow = op.add(graph, b.dropout(b.linear(names.output, wide, a.intermediate, a.hidden), 'hidden'), middle);
    x = b.normalization(names.outputNorm, narrow, a.hidden, a.epsilon);
  }
  return x;
}

/** Class scores (n, labels) of a sequence classification model. */
export function classScores(b: Builder, encoder: Encoder, labels: number): Value {
  return encoder.family.classify(b, encoder.architecture, tokenVectors(b, encoder, true), labels);
}
