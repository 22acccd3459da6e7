/** Reverse-mode differentiation over a graph: the walk. The rules, one an operator, are in ./gradient-rules.ts. */
import type { Dim, Graph, Node, Value } from './graph.js';
import * as op from './ops.js';
import { rules } from './gradient-rules.js';
import { widened } from './training-ops.js';
import { FlatrankError } from '../errors.js';

/**
 * Where the rows of a Gather came from: `Gather(x, indices)` has the gradient `Gather(dy, inverse)`, times `mask` (rows, 1)
 * where some of these rows were not gathered, or carry nothing.
 */
export interface Inverse {
  readonly indices: Value;
  readonly mask?: Value | undefined;
}

/** Rows of a table's gradient: row i is to be added to the table's row `ids[i]`. */
export interface RowGradient {
  /** (n, cols) */
  readonly rows: Value;
  /** (n) */
  readonly ids: Value;
}

/** The gradient of one value: a tensor of its shape, rows of it, or both, to be added up. */
export interface Gradient {
  readonly dense: Value | undefined;
  readonly rows: readonly RowGradient[];
}

/** What a rule sees of the walk. */
export interface Walk {
  readonly graph: Graph;
  /** The inverse of a Gather's indices, where one was declared. */
  inverse(indices: Value): Inverse | undefined;
  /** Whether `x` is a table whose gradient may be given as rows. */
  isTable(x: Value): boolean;
  addRows(table: Value, rows: RowGradient): void;
  /**
   * `x`, computed again where that is cheaper than to keep it since the forward pass: a mask's bytes as floats.
   */
  again(x: Value): Value;
  /** A tensor with the sizes of `x`. */
  sizes(x: Value): Value;
  /** A tensor with the sizes of the parts that were joined along their first axis. */
  partSizes(parts: readonly Value[], axis: number): Value;
}

/**
 * One input's share of a gradient, emitted only if somebody wants it. `sum` is what others have given so far, for a rule
 * that can add to it in passing; `accumulated` says that it did.
 */
export type Share = (sum: Value | undefined) => Value | { readonly accumulated: Value } | undefined;

/** Gradients of a node's inputs from those of its outputs (undefined: nobody used that output). */
export type Rule = (walk: Walk, node: Node, dys: readonly (Value | undefined)[]) => readonly (Share | undefined)[];

/** What {@link differentiate} takes besides the graph. */
export interface DifferentiateOptions {
  /** Values whose gradients are wanted. */
  readonly wanted: readonly Value[];
  /** Gathers that are known to be undone by other Gathers, by their indices. */
  readonly inverses?: ReadonlyMap<Value, Inverse>;
}

/**
 * Adds to `graph` the gradients of `loss` (a scalar) with respect to the wanted values.
 * @throws FlatrankError `ERR_UNSUPPORTED` where an operator on the way has no rule
 */
export function differentiate(graph: Graph, loss: Value, o: DifferentiateOptions): Map<Value, Gradient> {
  const forward = [...graph.nodes];
  const active = activeValues(forward, o.wanted);
  const wanted = new Set(o.wanted);
  const dense = new Map<Value, Value>([[loss, op.float(graph, 1)]]);
  const rows = new Map<Value, RowGradient[]>();
  const walk = walkOf(graph, forward, wanted, rows, o.inverses ?? new Map());
  for (const node of forward.reverse()) {
    const dys = node.outputs.map((output) => dense.get(output));
    if (!dys.some(Boolean) || !node.inputs.some((x) => x && active.has(x))) continue;
    const rule = rules[node.op];
    if (!rule) throw new FlatrankError('ERR_UNSUPPORTED', `There is no gradient of the operator ${node.op}`);
    const shares = rule(walk, node, dys);
    for (const [i, x] of node.inputs.entries()) {
      if (!x || !active.has(x)) continue;
      const sum = dense.get(x);
      const share = shares[i]?.(sum);
      if (share === undefined) continue;
      if ('accumulated' in share) dense.set(x, share.accumulated);
      else dense.set(x, sum ? op.add(graph, sum, share) : share);
    }
    for (const output of node.outputs) if (!wanted.has(output)) dense.delete(output);
  }
  return new Map(o.wanted.map((x) => [x, { dense: dense.get(x), rows: rows.get(x) ?? [] }]));
}

/** The values that depend on one of `wanted`, those included. */
function activeValues(nodes: readonly Node[], wanted: readonly Value[]): Set<Value> {
  const active = new Set(wanted);
  for (const { inputs, outputs } of nodes)
    if (inputs.some((x) => x && active.has(x)))
      for (const output of outputs) if (output.type === 'float32') active.add(output);
  return active;
}

function walkOf(
  graph: Graph,
  forward: readonly Node[],
  wanted: ReadonlySet<Value>,
  rows: Map<Value, RowGradient[]>,
  inverses: ReadonlyMap<Value, Inverse>,
): Walk {
  // Sizes that the forward pass was told: asking a tensor for its shape would keep it in memory until then.
  const shapes = new Map<string, Value>();
  const parts = new Map<string, Value>();
  const masks = new Map<Value, readonly Value[]>();
  for (const { op: name, inputs, outputs } of forward) {
    if (name === 'Reshape') shapes.set(outputs[0]!.shape.join(), inputs[1]!);
    if (name === 'DequantizeLinear') masks.set(outputs[0]!, inputs as readonly Value[]);
    if (name === 'Split' && inputs[1]) parts.set(dimsAlong(outputs, axisOfParts(outputs)).join(), inputs[1]);
  }
  const constantSizes = (dims: readonly Dim[]): Value | undefined => {
    const unknown = dims.filter((dim) => typeof dim === 'string').length;
    return unknown > 1 ? undefined : op.int64s(graph, ...dims.map((dim) => (typeof dim === 'number' ? dim : -1)));
  };
  return {
    graph,
    inverse: (indices) => inverses.get(indices),
    isTable: (x) => wanted.has(x),
    addRows(table, gradient) {
      const list = rows.get(table);
      if (list) list.push(gradient);
      else rows.set(table, [gradient]);
    },
    again(x) {
      const [mask, scale] = masks.get(x) ?? [];
      if (!mask || !scale) return x;
      // Written with the zero point that the first one left out, or onnxruntime would take both for the same and keep one.
      return widened(graph, mask, scale, graph.constant(Uint8Array.of(0), []));
    },
    sizes: (x) => constantSizes(x.shape) ?? shapes.get(x.shape.join()) ?? op.shapeOf(graph, x),
    partSizes(values, axis) {
      const dims = dimsAlong(values, axis);
      if (dims.every((dim) => typeof dim === 'number')) return op.int64s(graph, ...dims);
      const known = parts.get(dims.join());
      if (known) return known;
      const at = op.int64s(graph, axis);
      const sizes = values.map((value) => op.gather(graph, op.shapeOf(graph, value), at));
      return op.concat(graph, sizes, 0, values.length);
    },
  };
}

const dimsAlong = (values: readonly Value[], axis: number): Dim[] => values.map(({ shape }) => shape[axis]!);

/** The axis in which the parts differ, the first where they are all alike. */
function axisOfParts(parts: readonly Value[]): number {
  const axis = parts[0]!.shape.findIndex((dim, i) => parts.some(({ shape }) => shape[i] !== dim));
  return Math.max(axis, 0);
}
