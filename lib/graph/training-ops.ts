/** The operators that losses and gradients need besides those of encoders (./ops.ts). */
import type { Attribute, Dim, Graph, Result, Value } from './graph.js';
import type { OpName } from './op-names.js';
import { int64s } from './ops.js';

const one = (
  g: Graph,
  op: OpName,
  inputs: readonly (Value | undefined)[],
  result: Result,
  attributes: Readonly<Record<string, Attribute>> = {},
): Value => g.node(op, inputs, [result], attributes)[0]!;

const unary =
  (op: 'Exp' | 'Log' | 'Sign' | 'Softplus' | 'Sqrt') =>
  (g: Graph, x: Value): Value =>
    one(g, op, [x], { type: x.type, shape: x.shape });

export const exp = unary('Exp');
export const log = unary('Log');
export const sign = unary('Sign');
/** log(1 + exp x) */
export const softplus = unary('Softplus');
export const sqrt = unary('Sqrt');

/** Sums over `axes`, which go unless they are kept as ones. */
export function reduceSum(g: Graph, x: Value, axes: readonly number[], keep: boolean): Value {
  return one(g, 'ReduceSum', [x, int64s(g, ...axes)], reduced(x, axes, keep), { keepdims: keep ? 1n : 0n });
}

/** log Σ exp over the last axis, which becomes one. */
export const reduceLogSumExp = (g: Graph, x: Value): Value =>
  one(g, 'ReduceLogSumExp', [x, int64s(g, -1)], reduced(x, [x.shape.length - 1], true), { keepdims: 1n });

function reduced(x: Value, axes: readonly number[], keep: boolean): Result {
  const gone = new Set(axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)));
  const shape = keep ? x.shape.map((dim, i) => (gone.has(i) ? 1 : dim)) : x.shape.filter((_, i) => !gone.has(i));
  return { type: x.type, shape };
}

/** `x` cut along its first axis into `count` equal parts of `dim` rows. */
export function splitEqually(g: Graph, x: Value, count: number, dim: Dim): Value[] {
  const results = Array.from({ length: count }, () => ({ type: x.type, shape: [dim, ...x.shape.slice(1)] }));
  return g.node('Split', [x], results, { axis: 0n, num_outputs: BigInt(count) });
}

/** Options of {@link fusedMatMul}. */
export interface MatMulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

/** alpha · A B over the last two axes, either of them transposed before; the axes before are those of the longer shape. */
export function fusedMatMul(g: Graph, a: Value, b: Value, o: MatMulOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1 } = o;
  const batch = (a.shape.length >= b.shape.length ? a : b).shape.slice(0, -2);
  const shape = [...batch, a.shape.at(transA ? -1 : -2)!, b.shape.at(transB ? -2 : -1)!];
  return one(
    g,
    'FusedMatMul',
    [a, b],
    { type: a.type, shape },
    { alpha, transA: transA ? 1n : 0n, transB: transB ? 1n : 0n },
  );
}

/** alpha · A B + C of matrices. */
export function gemm(g: Graph, a: Value, b: Value, c: Value | undefined, o: MatMulOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1 } = o;
  const shape = [a.shape[transA ? 1 : 0]!, b.shape[transB ? 0 : 1]!];
  return one(
    g,
    'Gemm',
    c ? [a, b, c] : [a, b],
    { type: a.type, shape },
    { alpha, transA: transA ? 1n : 0n, transB: transB ? 1n : 0n },
  );
}

/** (x − mean) / standard deviation over the last axis, and 1 / standard deviation. */
export function normalized(g: Graph, x: Value, ones: Value, epsilon: number): { value: Value; inverse: Value } {
  const row: Result = { type: x.type, shape: [...x.shape.slice(0, -1), 1] };
  const outputs = g.node('LayerNormalization', [x, ones], [{ type: x.type, shape: x.shape }, row, row], {
    axis: -1n,
    epsilon,
  });
  return { value: outputs[0]!, inverse: outputs[2]! };
}

/** A mask of bytes 0 and 1 as floats 0 and `scale`. */
export const scaledMask = (g: Graph, mask: Value, scale: number): Value =>
  widened(g, mask, g.constant(Float32Array.of(scale), []));

/** (mask − zero) · scale. */
export const widened = (g: Graph, mask: Value, scale: Value, zero?: Value): Value =>
  one(g, 'DequantizeLinear', zero ? [mask, scale, zero] : [mask, scale], { type: 'float32', shape: mask.shape });

/** Adds rows of `updates` to `x` at `indices` along the first axis; indices have the shape of `updates`. */
export const scatterAdd = (g: Graph, x: Value, indices: Value, updates: Value): Value =>
  one(g, 'ScatterElements', [x, indices, updates], { type: x.type, shape: x.shape }, { axis: 0n, reduction: 'add' });

/** `x` broadcast to the sizes in `shape`. */
export const expand = (g: Graph, x: Value, sizes: Value, shape: readonly Dim[]): Value =>
  one(g, 'Expand', [x, sizes], { type: x.type, shape });
