/**
 * The operators, one function each: it adds the node and says what shape comes out. Names and meaning are ONNX's
 * (https://onnx.ai/onnx/operators/), or onnxruntime's where it has one of its own.
 */
import { elementTypes, type ElementType } from '../formats/onnx.js';
import { Graph, type Attribute, type Dim, type Result, type Value } from './graph.js';
import type { OpName } from './op-names.js';

const one = (
  g: Graph,
  op: OpName,
  inputs: readonly (Value | undefined)[],
  result: Result,
  attributes: Readonly<Record<string, Attribute>> = {},
): Value => g.node(op, inputs, [result], attributes)[0]!;

const like = ({ type, shape }: Value): Result => ({ type, shape });
const axisOf = (x: Value, axis: number): number => (axis < 0 ? axis + x.shape.length : axis);
const ints = (...values: number[]): bigint[] => values.map(BigInt);

/** A one-dimensional int64 constant. */
export const int64s = (g: Graph, ...values: number[]): Value => g.constant(BigInt64Array.from(ints(...values)));

/** A scalar int64 constant. */
export const int64 = (g: Graph, value: number): Value => g.constant(BigInt64Array.of(BigInt(value)), []);

/** A scalar float constant. */
export const float = (g: Graph, value: number): Value => g.constant(Float32Array.of(value), []);

/** The shape of numpy's broadcasting. */
function broadcast(a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x = 1, y = 1] = [a[i - rank + a.length], b[i - rank + b.length]];
    return x === 1 ? y : x;
  });
}

const binary =
  (op: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Max') =>
  (g: Graph, a: Value, b: Value): Value =>
    one(g, op, [a, b], { type: a.type, shape: broadcast(a.shape, b.shape) });

export const add = binary('Add');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('Div');
export const max = binary('Max');

const unary =
  (op: 'Abs' | 'Erf' | 'Neg' | 'Not' | 'Relu' | 'Sigmoid' | 'Tanh') =>
  (g: Graph, x: Value): Value =>
    one(g, op, [x], like(x));

export const abs = unary('Abs');
export const erf = unary('Erf');
export const neg = unary('Neg');
export const not = unary('Not');
export const relu = unary('Relu');
export const sigmoid = unary('Sigmoid');
export const tanh = unary('Tanh');

/** The Gaussian error linear unit (Hendrycks and Gimpel 2016), exact or by tanh. */
export const gelu = (g: Graph, x: Value, approximate: 'none' | 'tanh'): Value =>
  one(g, 'Gelu', [x], like(x), { approximate });

/** x wᵀ + bias. @param x (m, k) @param w (n, k), as torch keeps linear layers @param bias (n) */
export const linear = (g: Graph, x: Value, w: Value, bias?: Value): Value =>
  one(g, 'Gemm', [x, w, bias], { type: x.type, shape: [x.shape[0]!, w.shape[0]!] }, { transB: 1n });

/** Matrix product over the last two axes; those before them broadcast. */
export const matMul = (g: Graph, a: Value, b: Value): Value =>
  one(g, 'MatMul', [a, b], {
    type: a.type,
    shape: [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), a.shape.at(-2)!, b.shape.at(-1)!],
  });

/** alpha · a bᵀ over the last two axes. */
export const scaledMatMulTransposed = (g: Graph, a: Value, b: Value, alpha: number): Value =>
  one(
    g,
    'FusedMatMul',
    [a, b],
    {
      type: a.type,
      shape: [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), a.shape.at(-2)!, b.shape.at(-2)!],
    },
    { alpha, transB: 1n },
  );

/** Over the last axis (Ba, Kiros and Hinton 2016). */
export const layerNormalization = (g: Graph, x: Value, scale: Value, bias: Value, epsilon: number): Value =>
  one(g, 'LayerNormalization', [x, scale, bias], like(x), { axis: -1n, epsilon });

/** Over the last axis. */
export const softmax = (g: Graph, x: Value): Value => one(g, 'Softmax', [x], like(x), { axis: -1n });

/** Entries of `x` along `axis` by `indices`. */
export const gather = (g: Graph, x: Value, indices: Value, axis = 0): Value =>
  one(
    g,
    'Gather',
    [x, indices],
    { type: x.type, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] },
    { axis: BigInt(axis) },
  );

/** `x` in another shape. `sizes` is computed in the graph; `shape` says the same in symbols. */
export const reshape = (g: Graph, x: Value, sizes: Value, shape: readonly Dim[]): Value =>
  one(g, 'Reshape', [x, sizes], { type: x.type, shape });

export const transpose = (g: Graph, x: Value, ...perm: number[]): Value =>
  one(g, 'Transpose', [x], { type: x.type, shape: perm.map((axis) => x.shape[axis]!) }, { perm: ints(...perm) });

/** `size` is that of the axis after joining. */
export const concat = (g: Graph, values: readonly Value[], axis: number, size: Dim): Value => {
  const [first] = values as readonly [Value];
  const shape = first.shape.map((dim, i) => (i === axisOf(first, axis) ? size : dim));
  return one(g, 'Concat', values, { type: first.type, shape }, { axis: BigInt(axis) });
};

/** `x` cut along `axis` into parts whose sizes the tensor `sizes` gives; `dims` says the same in symbols. */
export function split(g: Graph, x: Value, sizes: Value, axis: number, dims: readonly Dim[]): Value[] {
  const results = dims.map((dim) => ({ type: x.type, shape: x.shape.map((d, i) => (i === axis ? dim : d)) }));
  return g.node('Split', [x, sizes], results, { axis: BigInt(axis) });
}

/** Entries `from` up to `to` along the first axes: tensors of a number for each of those that `sizes` describes. */
export const slice = (g: Graph, x: Value, from: Value, to: Value, ...sizes: readonly Dim[]): Value =>
  one(g, 'Slice', [x, from, to, int64s(g, ...sizes.keys())], {
    type: x.type,
    shape: [...sizes, ...x.shape.slice(sizes.length)],
  });

export const unsqueeze = (g: Graph, x: Value, axis: number): Value =>
  one(g, 'Unsqueeze', [x, int64s(g, axis)], {
    type: x.type,
    shape: [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)],
  });

export const cast = (g: Graph, x: Value, type: ElementType): Value =>
  one(g, 'Cast', [x], { type, shape: x.shape }, { to: BigInt(elementTypes[type]) });

/** (rank) the sizes of `x`. */
export const shapeOf = (g: Graph, x: Value): Value => one(g, 'Shape', [x], { type: 'int64', shape: [x.shape.length] });

export const greater = (g: Graph, a: Value, b: Value): Value =>
  one(g, 'Greater', [a, b], { type: 'bool', shape: broadcast(a.shape, b.shape) });

/** `a` where `condition` holds, else `b`; all broadcast. */
export const where = (g: Graph, condition: Value, a: Value, b: Value): Value =>
  one(g, 'Where', [condition, a, b], {
    type: a.type,
    shape: broadcast(condition.shape, broadcast(a.shape, b.shape)),
  });

export const and = (g: Graph, a: Value, b: Value): Value =>
  one(g, 'And', [a, b], { type: 'bool', shape: broadcast(a.shape, b.shape) });

export const equal = (g: Graph, a: Value, b: Value): Value =>
  one(g, 'Equal', [a, b], { type: 'bool', shape: broadcast(a.shape, b.shape) });

/** Running sums along `axis`. */
export const cumSum = (g: Graph, x: Value, axis: number): Value => one(g, 'CumSum', [x, int64(g, axis)], like(x));

/** 0, 1, … up to `limit` (a scalar). */
export const range = (g: Graph, limit: Value, size: Dim): Value =>
  one(g, 'Range', [int64(g, 0), limit, int64(g, 1)], { type: 'int64', shape: [size] });

/** The largest along `axis`, which goes. */
export const reduceMax = (g: Graph, x: Value, axis = -1): Value =>
  one(
    g,
    'ReduceMax',
    [x, int64s(g, axis)],
    { type: x.type, shape: x.shape.filter((_, i) => i !== axisOf(x, axis)) },
    { keepdims: 0n },
  );

/** `x` repeated to `sizes`, which `shape` says in symbols. */
export const expand = (g: Graph, x: Value, sizes: Value, shape: readonly Dim[]): Value =>
  one(g, 'Expand', [x, sizes], { type: x.type, shape });

/** Rows of `x` (m, n) as bytes: x / scales + zeros, rounded to even. @param scales (m) @param zeros (m) */
export const quantizeRows = (g: Graph, x: Value, scales: Value, zeros: Value): Value =>
  one(g, 'QuantizeLinear', [x, scales, zeros], { type: 'uint8', shape: x.shape }, { axis: 0n });

/**
 * (a − centre) w, each column times its scale, in floats.
 * @param a (m, k) bytes @param w (k, n) signed bytes @param scales (n)
 */
export const matMulIntegerToFloat = (g: Graph, a: Value, w: Value, scales: Value, centre: number): Value =>
  one(g, 'MatMulIntegerToFloat', [a, w, float(g, 1), scales, g.constant(Uint8Array.of(centre), [])], {
    type: 'float32',
    shape: [a.shape[0]!, w.shape[1]!],
  });

/** Options of {@link attention}. */
export interface AttentionNode {
  readonly heads: number;
  /** (1, heads, l, s) added to the scores. */
  readonly bias: Value | undefined;
  /** (n) how many of each text's keys count, the leading ones; all unless given. */
  readonly lengths?: Value | undefined;
}

/**
 * Scaled dot-product attention of several heads (Vaswani et al. 2017).
 * @param q (n, l, hidden) @param k (n, s, hidden) @param v (n, s, hidden)
 */
export const attention = (g: Graph, q: Value, k: Value, v: Value, { heads, bias, lengths }: AttentionNode): Value =>
  one(
    g,
    'Attention',
    lengths ? [q, k, v, bias, undefined, undefined, lengths] : bias ? [q, k, v, bias] : [q, k, v],
    { type: q.type, shape: [q.shape[0]!, q.shape[1]!, v.shape[2]!] },
    { q_num_heads: BigInt(heads), kv_num_heads: BigInt(heads) },
  );

/** {@link attention} to all keys, tile by tile (Dao et al. 2022): for long texts, whose scores would fill the memory. */
export const flashAttention = (g: Graph, q: Value, k: Value, v: Value, { heads, bias }: AttentionNode): Value =>
  one(
    g,
    'MultiHeadAttention',
    bias ? [q, k, v, undefined, undefined, bias] : [q, k, v],
    { type: q.type, shape: [q.shape[0]!, q.shape[1]!, v.shape[2]!] },
    { num_heads: BigInt(heads) },
  );

/** `then(…)` where `condition` (a scalar) holds, else `otherwise(…)`; only that one runs. */
export function conditional(
  g: Graph,
  condition: Value,
  result: Result,
  then: (body: Graph) => Value,
  otherwise: (body: Graph) => Value,
): Value {
  const branch = (build: (body: Graph) => Value): Graph => {
    const body = new Graph(g);
    const value = build(body);
    body.output(`${value.name}_out`, value);
    return body;
  };
  return one(g, 'If', [condition], result, { then_branch: branch(then), else_branch: branch(otherwise) });
}
