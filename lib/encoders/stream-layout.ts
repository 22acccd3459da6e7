import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { Architecture } from './family.js';
import type { AttentionOptions, Layout } from './layout.js';
import type { RelativeBias } from './relative-bias.js';

/**
 * The real tokens of all texts, one after another: nothing is padded. Texts of equal length stand together as a block, and
 * attention runs block by block, without a mask, so that a text's numbers do not depend on what it is batched with.
 *
 * Inputs: `ids`, `positions`, `types` (T); `shapes` (G, 3) texts, tokens a text and hidden size of each block; `starts` (G + 1)
 * its first token; for the first tokens alone `first_tokens` (n) and `first_texts` (G + 1) its first text.
 */
export class StreamLayout implements Layout {
  readonly ids: Value;
  readonly positions: Value;
  readonly types: Value;
  readonly #graph: Graph;
  readonly #hidden: number;
  readonly #shapes: Value;
  readonly #starts: Value;
  readonly #count: Value;
  readonly #single: Value;
  readonly #firstTokens: Value | undefined;
  readonly #firstTexts: Value | undefined;

  /** @param first whether {@link first} will be asked for */
  constructor(g: Graph, a: Architecture, first: boolean) {
    this.#graph = g;
    this.#hidden = a.hidden;
    this.ids = g.input('ids', 'int64', ['T']);
    this.positions = g.input('positions', 'int64', ['T']);
    this.types = a.types > 1 ? g.input('types', 'int64', ['T']) : op.int64s(g, 0);
    this.#shapes = g.input('shapes', 'int64', ['G', 3]);
    this.#starts = g.input('starts', 'int64', ['starts']);
    this.#firstTokens = first ? g.input('first_tokens', 'int64', ['n']) : undefined;
    this.#firstTexts = first ? g.input('first_texts', 'int64', ['starts']) : undefined;
    this.#count = op.gather(g, op.shapeOf(g, this.#shapes), op.int64(g, 0));
    this.#single = op.equal(g, this.#count, op.int64(g, 1));
  }

  first(x: Value): Value {
    return op.gather(this.#graph, x, this.#firstTokens!);
  }

  attention(q: Value, k: Value, v: Value, { heads, bias, first }: AttentionOptions): Value {
    return op.conditional(
      this.#graph,
      this.#single,
      { type: q.type, shape: q.shape },
      (g) => this.#block(g, q, k, v, op.int64(g, 0), heads, bias, first),
      (g) =>
        op.joinedOver(g, this.#count, { type: q.type, shape: q.shape }, (body, i) => {
          const tokens = (x: Value): Value => this.#rows(body, x, this.#starts, i);
          const queries = first ? this.#rows(body, q, this.#firstTexts!, i) : tokens(q);
          return this.#block(body, queries, tokens(k), tokens(v), i, heads, bias, first);
        }),
    );
  }

  /** The rows of block `i`. */
  #rows(g: Graph, x: Value, starts: Value, i: Value): Value {
    const at = op.unsqueeze(g, i, 0);
    const next = op.add(g, at, op.int64s(g, 1));
    return op.slice(g, x, op.gather(g, starts, at), op.gather(g, starts, next), 't');
  }

  #block(
    g: Graph,
    q: Value,
    k: Value,
    v: Value,
    i: Value,
    heads: number,
    bias: RelativeBias | undefined,
    first: boolean,
  ): Value {
    const shape = op.gather(g, this.#shapes, i);
    const apart = (x: Value): Value => op.reshape(g, x, shape, ['n', 's', this.#hidden]);
    const queries = first ? op.unsqueeze(g, q, 1) : apart(q);
    const size = op.gather(g, shape, op.int64(g, 1));
    const out = op.multiHeadAttention(g, queries, apart(k), apart(v), heads, bias?.(g, size, first));
    return op.reshape(g, out, op.int64s(g, -1, this.#hidden), q.shape);
  }
}
