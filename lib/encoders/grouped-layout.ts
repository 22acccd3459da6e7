import type { Inverse } from '../graph/gradient.js';
import type { Dim, Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { Dropout } from './builder.js';
import type { Architecture } from './family.js';
import { separate, type AttentionOptions, type Columns, type Layout } from './layout.js';

/**
 * The real tokens of all texts for training: dense layers see the stream, attention sees groups of texts of similar length,
 * each padded to its longest. Every operator has a gradient, and every Gather an inverse, so that nothing is scattered.
 *
 * Inputs: `ids`, `positions`, `types` (T); `blocks` (N) the token of each place in the groups (padding: any) and `block_rows`
 * (N, 1) whether it is one; `back` (T) the place of each token; `block_sizes` (groups) places of each group; per group k
 * `shape_k` (2) its texts and their places, `mask_k` (texts, 1, 1, places) 0 or a large negative number. For the first tokens
 * `first_tokens` (n) in the order of the groups, `first_back` (T), `first_rows` (T, 1) and `first_sizes` (groups).
 */
export class GroupedLayout implements Layout {
  readonly ids: Value;
  readonly positions: Value;
  readonly types: Value;
  /** Gathers that undo each other, by their indices. */
  readonly inverses = new Map<Value, Inverse>();
  readonly #graph: Graph;
  readonly #architecture: Architecture;
  readonly #dropout: Dropout;
  readonly #blocks: Value;
  readonly #back: Value;
  readonly #sizes: Value;
  readonly #groups: readonly { readonly shape: Value; readonly mask: Value }[];
  #first: { readonly tokens: Value; readonly sizes: Value } | undefined;

  /** @param groups how many groups; a batch with fewer feeds groups of one place that nothing comes back from */
  constructor(g: Graph, a: Architecture, groups: number, dropout: Dropout) {
    this.#graph = g;
    this.#architecture = a;
    this.#dropout = dropout;
    this.ids = g.input('ids', 'int64', ['T']);
    this.positions = g.input('positions', 'int64', ['T']);
    this.types = a.types > 1 ? g.input('types', 'int64', ['T']) : op.int64s(g, 0);
    this.#blocks = g.input('blocks', 'int64', ['N']);
    this.#back = g.input('back', 'int64', ['T']);
    this.#sizes = g.input('block_sizes', 'int64', [groups]);
    const rows = g.input('block_rows', 'float32', ['N', 1]);
    this.inverses.set(this.#blocks, { indices: this.#back });
    this.inverses.set(this.#back, { indices: this.#blocks, mask: rows });
    this.#groups = Array.from({ length: groups }, (_, k) => ({
      shape: g.input(`shape_${k}`, 'int64', [2]),
      mask: g.input(`mask_${k}`, 'float32', [`n${k}`, 1, 1, `s${k}`]),
    }));
  }

  first(x: Value): Value {
    return op.gather(this.#graph, x, this.#firstInputs().tokens);
  }

  attention(query: Columns, key: Columns, value: Columns, { heads, bias, first }: AttentionOptions): Value {
    const g = this.#graph;
    const [q, k, v] = separate(g, query, key, value) as [Value, Value, Value];
    const width = this.#architecture.hidden / heads;
    const parts = (x: Value): Value[] => op.split(g, op.gather(g, x, this.#blocks), this.#sizes, 0, this.#dims('N'));
    const [ks, vs] = [parts(k), parts(v)];
    const qs = first ? op.split(g, q, this.#firstInputs().sizes, 0, this.#dims('n')) : parts(q);
    const contexts = this.#groups.map(({ shape, mask }, i) => {
      const [n, s] = [`n${i}`, `s${i}`];
      const headed = (x: Value, tokens: Dim, sizes: Value): Value =>
        op.transpose(g, op.reshape(g, x, sizes, [n, tokens, heads, width]), 0, 2, 1, 3);
      const sizes = op.concat(g, [shape, op.int64s(g, heads, width)], 0, 4);
      const query = first ? headed(qs[i]!, 1, op.int64s(g, -1, 1, heads, width)) : headed(qs[i]!, s, sizes);
      let scores = op.scaledMatMulTransposed(g, query, headed(ks[i]!, s, sizes), 1 / Math.sqrt(width));
      if (bias) scores = op.add(g, scores, bias(g, op.gather(g, shape, op.int64(g, 1)), first));
      const weights = this.#dropout(op.softmax(g, op.add(g, scores, mask)), 'attention');
      const context = op.transpose(g, op.matMul(g, weights, headed(vs[i]!, s, sizes)), 0, 2, 1, 3);
      return op.reshape(g, context, op.int64s(g, -1, this.#architecture.hidden), [
        first ? n : `N${i}`,
        this.#architecture.hidden,
      ]);
    });
    const joined = op.concat(g, contexts, 0, first ? q.shape[0]! : 'N');
    return first ? joined : op.gather(g, joined, this.#back);
  }

  /** (n, hidden) the largest of each text's values, texts in the order of the groups. @param x (T, hidden) */
  max(x: Value): Value {
    const g = this.#graph;
    const { hidden } = this.#architecture;
    const parts = op.split(g, op.gather(g, x, this.#blocks), this.#sizes, 0, this.#dims('N'));
    const largest = this.#groups.map(({ shape, mask }, i) => {
      const [n, s] = [`n${i}`, `s${i}`];
      const sizes = op.concat(g, [shape, op.int64s(g, hidden)], 0, 3);
      const block = op.transpose(g, op.reshape(g, parts[i]!, sizes, [n, s, hidden]), 0, 2, 1);
      const hide = op.reshape(
        g,
        mask,
        op.concat(g, [op.int64s(g, -1, 1), op.slice(g, shape, op.int64s(g, 1), op.int64s(g, 2), 1)], 0, 3),
        [n, 1, s],
      );
      return op.reduceMax(g, op.add(g, block, hide));
    });
    return op.concat(g, largest, 0, 'firsts');
  }

  #dims(letter: string): string[] {
    return this.#groups.map((_, i) => `${letter}${i}`);
  }

  #firstInputs(): { tokens: Value; sizes: Value } {
    if (this.#first) return this.#first;
    const g = this.#graph;
    const tokens = g.input('first_tokens', 'int64', ['firsts']);
    const mask = g.input('first_rows', 'float32', ['T', 1]);
    this.inverses.set(tokens, { indices: g.input('first_back', 'int64', ['T']), mask });
    return (this.#first = { tokens, sizes: g.input('first_sizes', 'int64', [this.#groups.length]) });
  }
}
