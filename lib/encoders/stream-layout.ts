import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { Architecture } from './family.js';
import { separate, type AttentionOptions, type Columns, type Layout } from './layout.js';
import type { RelativeBias } from './relative-bias.js';

/**
 * The real tokens of all texts, one after another: nothing is padded. Texts of equal length stand together as a block, and
 * attention runs block by block, without a mask, so that a text's numbers do not depend on what it is batched with.
 *
 * Inputs: `ids`, `positions`, `types` (T); `shapes` (G, 3) texts, tokens a text and hidden size of each block; `starts` and
 * `ends` (G, 2) its first token and the one behind its last, and a 0; for the first tokens alone `first_tokens` (n), and
 * `first_starts` and `first_ends` (G, 2) as `starts` and `ends`, but of texts.
 */
export class StreamLayout implements Layout {
  readonly ids: Value;
  readonly positions: Value;
  readonly types: Value;
  readonly #graph: Graph;
  readonly #hidden: number;
  readonly #shapes: Value;
  readonly #count: Value;
  readonly #single: Value;
  readonly #blocks: Blocks;
  readonly #firsts: { readonly tokens: Value; readonly blocks: Blocks } | undefined;

  /** @param first whether {@link first} will be asked for */
  constructor(g: Graph, a: Architecture, first: boolean) {
    this.#graph = g;
    this.#hidden = a.hidden;
    this.ids = g.input('ids', 'int64', ['T']);
    this.positions = g.input('positions', 'int64', ['T']);
    this.types = a.types > 1 ? g.input('types', 'int64', ['T']) : op.int64s(g, 0);
    this.#shapes = g.input('shapes', 'int64', ['G', 3]);
    this.#blocks = new Blocks(g, '');
    this.#firsts = first
      ? { tokens: g.input('first_tokens', 'int64', ['n']), blocks: new Blocks(g, 'first_') }
      : undefined;
    this.#count = op.gather(g, op.shapeOf(g, this.#shapes), op.int64(g, 0));
    this.#single = op.equal(g, this.#count, op.int64(g, 1));
  }

  first(x: Value): Value {
    return op.gather(this.#graph, x, this.#firsts!.tokens);
  }

  attention(q: Columns, k: Columns, v: Columns, { heads, bias, first }: AttentionOptions): Value {
    const result = { type: q.x.type, shape: [q.x.shape[0]!, this.#hidden] };
    const queries = first ? this.#firsts!.blocks : this.#blocks;
    const [qs, ks, vs] = [queries.of(q), this.#blocks.of(k), this.#blocks.of(v)];
    return op.conditional(
      this.#graph,
      this.#single,
      result,
      (g) => this.#block(g, separate(g, q, k, v), op.int64(g, 0), heads, bias, first),
      (g) =>
        op.joinedOver(g, this.#count, result, (body, i) =>
          this.#block(body, [qs(body, i), ks(body, i), vs(body, i)], i, heads, bias, first),
        ),
    );
  }

  #block(
    g: Graph,
    [q, k, v]: readonly Value[],
    i: Value,
    heads: number,
    bias: RelativeBias | undefined,
    first: boolean,
  ): Value {
    const shape = op.gather(g, this.#shapes, i);
    const apart = (x: Value): Value => op.reshape(g, x, shape, ['n', 's', this.#hidden]);
    const queries = first ? op.unsqueeze(g, q!, 1) : apart(q!);
    const size = op.gather(g, shape, op.int64(g, 1));
    const out = op.multiHeadAttention(g, queries, apart(k!), apart(v!), heads, bias?.(g, size, first));
    return op.reshape(g, out, op.int64s(g, -1, this.#hidden), q!.shape);
  }
}

/** Where the blocks lie in a stream. */
class Blocks {
  readonly #graph: Graph;
  readonly #starts: Value;
  readonly #ends: Value;
  /** First and last corner of each block, by its columns: the layers share them. */
  readonly #corners = new Map<string, { readonly from: Value; readonly to: Value }>();

  constructor(g: Graph, prefix: string) {
    this.#graph = g;
    this.#starts = g.input(`${prefix}starts`, 'int64', ['G', 2]);
    this.#ends = g.input(`${prefix}ends`, 'int64', ['G', 2]);
  }

  /** What gives the columns of block `i`, in the body of a loop. */
  of({ x, part, parts }: Columns): (body: Graph, i: Value) => Value {
    const g = this.#graph;
    const count = (x.shape[1] as number) / parts;
    const key = `${part} ${count}`;
    const corners = this.#corners.get(key) ?? {
      from: op.add(g, this.#starts, op.int64s(g, 0, part * count)),
      to: op.add(g, this.#ends, op.int64s(g, 0, (part + 1) * count)),
    };
    this.#corners.set(key, corners);
    return (body, i) => op.slice(body, x, op.gather(body, corners.from, i), op.gather(body, corners.to, i), 't', count);
  }
}
