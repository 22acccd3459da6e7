import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { RelativeBias } from './relative-bias.js';

/** Columns of `x`: what part `part` of `parts` linear layers gives that are computed as one. */
export interface Columns {
  readonly x: Value;
  readonly part: number;
  readonly parts: number;
}

/** The columns as values of their own. */
export function separate(g: Graph, ...list: readonly Columns[]): Value[] {
  const known = new Map<Value, readonly Value[]>();
  return list.map(({ x, part, parts }) => {
    if (parts === 1) return x;
    const sizes = Array.from({ length: parts }, () => (x.shape[1] as number) / parts);
    const values = known.get(x) ?? op.split(g, x, op.int64s(g, ...sizes), 1, sizes);
    known.set(x, values);
    return values[part]!;
  });
}

/** What attention is to be computed over. */
export interface AttentionOptions {
  readonly heads: number;
  /** Added to the scores. */
  readonly bias: RelativeBias | undefined;
  /** Whether `q` holds the first token of each text only. */
  readonly first: boolean;
}

/** How the tokens of several texts lie in the graph's tensors. Everything else of an encoder looks at single tokens. */
export interface Layout {
  /** (T) word ids. */
  readonly ids: Value;
  /** (T) rows of the position embeddings. */
  readonly positions: Value;
  /** (T) token types, or (1) where all are the same. */
  readonly types: Value;
  /** Attention of every token of `q` to the tokens of its text. q (T, hidden) or (n, hidden), k and v (T, hidden). */
  attention(q: Columns, k: Columns, v: Columns, o: AttentionOptions): Value;
  /** (n, hidden) first token of each text. */
  first(x: Value): Value;
}
