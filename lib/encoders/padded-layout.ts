import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { Architecture } from './family.js';
import { separate, type AttentionOptions, type Columns, type Layout } from './layout.js';

/** Added to the scores of padding: its weight after softmax is zero. */
const masked = -1e9;

/**
 * Texts padded to the longest, under the names and shapes that exported models have: `input_ids`, `attention_mask` and, where
 * there are token types, `token_type_ids` (batch, sequence). Operators are ONNX's own, so that every runtime has them.
 */
export class PaddedLayout implements Layout {
  readonly ids: Value;
  readonly positions: Value;
  readonly types: Value;
  readonly #graph: Graph;
  readonly #hidden: number;
  /** (2) texts and tokens of each. */
  readonly #size: Value;
  /** (batch, 1, 1, sequence) */
  readonly #mask: Value;

  constructor(g: Graph, a: Architecture) {
    this.#graph = g;
    this.#hidden = a.hidden;
    const shape = ['batch', 'sequence'];
    const ids = g.input('input_ids', 'int64', shape);
    const mask = g.input('attention_mask', 'int64', shape);
    const flat = (x: Value): Value => op.reshape(g, x, op.int64s(g, -1), ['T']);
    this.#size = op.shapeOf(g, ids);
    this.ids = flat(ids);
    this.types = a.types > 1 ? flat(g.input('token_type_ids', 'int64', shape)) : op.int64s(g, 0);
    this.positions = flat(a.positionsFrom === 'zero' ? this.#counted(ids) : afterPadding(g, ids, a.padId));
    const hidden = op.sub(g, op.float(g, 1), op.cast(g, mask, 'float32'));
    const apart = op.unsqueeze(g, op.unsqueeze(g, hidden, 1), 1);
    this.#mask = op.mul(g, apart, op.float(g, masked));
  }

  /** (batch, sequence, hidden) of (T, hidden). */
  apart(x: Value): Value {
    const size = op.concat(this.#graph, [this.#size, op.int64s(this.#graph, this.#hidden)], 0, 3);
    return op.reshape(this.#graph, x, size, ['batch', 'sequence', this.#hidden]);
  }

  first(x: Value): Value {
    return op.gather(this.#graph, this.apart(x), op.int64(this.#graph, 0), 1);
  }

  attention(query: Columns, key: Columns, value: Columns, { heads, bias, first }: AttentionOptions): Value {
    const g = this.#graph;
    const [q, k, v] = separate(g, query, key, value) as [Value, Value, Value];
    const width = this.#hidden / heads;
    const size = op.concat(g, [this.#size, op.int64s(g, heads, width)], 0, 4);
    const split = (x: Value): Value => op.reshape(g, x, size, ['batch', 'sequence', heads, width]);
    const queries = first ? op.reshape(g, q, op.int64s(g, -1, 1, heads, width), ['batch', 1, heads, width]) : split(q);
    const scores = op.mul(
      g,
      op.matMul(g, op.transpose(g, queries, 0, 2, 1, 3), op.transpose(g, split(k), 0, 2, 3, 1)),
      op.float(g, 1 / Math.sqrt(width)),
    );
    const tokens = op.gather(g, this.#size, op.int64(g, 1));
    const biased = bias ? op.add(g, scores, bias(g, tokens, first)) : scores;
    const weights = op.softmax(g, op.add(g, biased, this.#mask));
    const context = op.transpose(g, op.matMul(g, weights, op.transpose(g, split(v), 0, 2, 1, 3)), 0, 2, 1, 3);
    return op.reshape(g, context, op.int64s(g, -1, this.#hidden), q.shape);
  }

  /** 0, 1, … in every text. */
  #counted(ids: Value): Value {
    const g = this.#graph;
    const tokens = op.gather(g, this.#size, op.int64(g, 1));
    return op.add(g, op.mul(g, ids, op.int64(g, 0)), op.range(g, tokens, 'sequence'));
  }
}

/** Positions as fairseq counts them: tokens that are not padding, from `padId` + 1 on. */
function afterPadding(g: Graph, ids: Value, padId: number): Value {
  const real = op.cast(g, op.not(g, op.equal(g, ids, op.int64(g, padId))), 'int64');
  return op.add(g, op.mul(g, op.cumSum(g, real, 1), real), op.int64(g, padId));
}
