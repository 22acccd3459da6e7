import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { Architecture } from './family.js';
import { separate, type AttentionOptions, type Columns, type Layout } from './layout.js';

/**
 * Texts of more tokens than this are to be alone in a batch. Attention then goes tile by tile: the scores of all would fill
 * the memory. Shorter ones have it computed in one way whatever they are batched with, so that they get the same bits.
 */
export const longText = 1024;

/**
 * The real tokens of all texts, one after another: dense layers compute nothing else. For attention they are gathered into
 * places (texts, tokens of the longest), and what stands behind the end of a text is left out of its sums; texts of equal
 * length lie there already.
 *
 * Inputs: `ids`, `positions`, `types` (T); `places` (n, s) the token of each place (behind the end: any of the text's), `back`
 * (T) the place of each token, `lengths` (n) tokens of each text; for the first tokens alone `first_tokens` (n).
 */
export class StreamLayout implements Layout {
  readonly ids: Value;
  readonly positions: Value;
  readonly types: Value;
  readonly places: Value;
  readonly lengths: Value;
  /** () tokens of the longest text. */
  readonly longest: Value;
  readonly graph: Graph;
  readonly #hidden: number;
  readonly #back: Value;
  #firsts: Value | undefined;
  /** (3) texts, tokens of the longest, hidden size. */
  readonly #shape: Value;
  /** Whether every place has a token of its own. */
  readonly #full: Value;
  /** Whether it is a {@link longText}, where the model can take one. */
  readonly #long: Value | undefined;
  /** Rows of the places among the parts of joined layers, by the part. */
  readonly #rows = new Map<string, Value>();

  constructor(g: Graph, a: Architecture) {
    this.graph = g;
    this.#hidden = a.hidden;
    this.ids = g.input('ids', 'int64', ['T']);
    this.positions = g.input('positions', 'int64', ['T']);
    this.types = a.types > 1 ? g.input('types', 'int64', ['T']) : op.int64s(g, 0);
    this.places = g.input('places', 'int64', ['n', 's']);
    this.#back = g.input('back', 'int64', ['T']);
    this.lengths = g.input('lengths', 'int64', ['n']);
    this.#shape = op.concat(g, [op.shapeOf(g, this.places), op.int64s(g, a.hidden)], 0, 3);
    this.longest = op.gather(g, this.#shape, op.int64(g, 1));
    this.#long = a.positions > longText ? op.greater(g, this.longest, op.int64(g, longText)) : undefined;
    const count = op.mul(g, op.gather(g, this.#shape, op.int64(g, 0)), this.longest);
    this.#full = op.equal(g, op.shapeOf(g, this.#back), count);
  }

  /** (n) first token of each text. */
  get firsts(): Value {
    return (this.#firsts ??= this.graph.input('first_tokens', 'int64', ['n']));
  }

  first(x: Value): Value {
    return op.gather(this.graph, x, this.firsts);
  }

  attention(q: Columns, k: Columns, v: Columns, o: AttentionOptions): Value {
    const result = { type: q.x.type, shape: [q.x.shape[0]!, this.#hidden] };
    const [qs, ks, vs] = [this.#inPlaces(q), this.#inPlaces(k), this.#inPlaces(v)];
    return op.conditional(
      this.graph,
      this.#full,
      result,
      (g) => {
        const apart = (x: Value): Value => op.reshape(g, x, this.#shape, ['n', 's', this.#hidden]);
        const [query, key, value] = separate(g, q, k, v) as [Value, Value, Value];
        return this.#attend(g, o.first ? query : apart(query), apart(key), apart(value), undefined, o);
      },
      (g) => {
        const out = this.#attend(g, o.first ? q.x : qs(g), ks(g), vs(g), this.lengths, o);
        return o.first ? out : op.gather(g, out, this.#back);
      },
    );
  }

  #attend(g: Graph, q: Value, k: Value, v: Value, lengths: Value | undefined, o: AttentionOptions): Value {
    const { heads, bias, first } = o;
    const query = first ? op.unsqueeze(g, q, 1) : q;
    const node = { heads, bias: bias?.(g, this.longest, first), lengths };
    const out =
      lengths || !this.#long
        ? op.attention(g, query, k, v, node)
        : op.conditional(
            g,
            this.#long,
            { type: q.type, shape: [query.shape[0]!, query.shape[1]!, this.#hidden] },
            (branch) => op.flashAttention(branch, query, k, v, node),
            (branch) => op.attention(branch, query, k, v, node),
          );
    return op.reshape(g, out, op.int64s(g, -1, this.#hidden), [first ? 'n' : 'places', this.#hidden]);
  }

  /** What gives the columns in their places, (n, s, hidden), in a branch. */
  #inPlaces({ x, part, parts }: Columns): (branch: Graph) => Value {
    const g = this.graph;
    const key = `${part} ${parts}`;
    const rows =
      this.#rows.get(key) ??
      (parts === 1 ? this.places : op.add(g, op.mul(g, this.places, op.int64(g, parts)), op.int64(g, part)));
    this.#rows.set(key, rows);
    return (branch) =>
      op.gather(branch, op.reshape(branch, x, op.int64s(branch, -1, this.#hidden), ['rows', this.#hidden]), rows);
  }
}
