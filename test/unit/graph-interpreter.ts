/** Runs a graph in fp64, operator by operator and as plainly as can be: what gradients are held against. */
import type { Graph, Node, Value } from '../../lib/graph/graph.js';

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

const size = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);
export const tensor = (shape: readonly number[], data: ArrayLike<number>): Tensor => ({
  shape,
  data: Float64Array.from(data),
});
export const fill = (shape: readonly number[], value: (i: number) => number): Tensor =>
  tensor(
    shape,
    Array.from({ length: size(shape) }, (_, i) => value(i)),
  );

/** Runs `graph` on inputs by name and gives the values asked for. */
export function interpret(graph: Graph, inputs: ReadonlyMap<string, Tensor>, wanted: readonly Value[]): Tensor[] {
  const known = new Map<string, Tensor>(inputs);
  for (const { value, data } of graph.constants) known.set(value.name, constant(value, data as Uint8Array));
  for (const node of graph.nodes) {
    const operator = operators[node.op];
    if (!operator) throw new Error(`the interpreter does not know ${node.op}`);
    const results = operator(
      node.inputs.map((input) => (input ? known.get(input.name)! : undefined!)),
      node,
    );
    for (const [i, output] of node.outputs.entries()) known.set(output.name, results[i]!);
  }
  return wanted.map(({ name }) => known.get(name)!);
}

function constant({ type, shape }: Value, { buffer, byteOffset, byteLength }: Uint8Array): Tensor {
  const dims = shape as readonly number[];
  if (type === 'float32') return tensor(dims, new Float32Array(buffer, byteOffset, byteLength / 4));
  if (type === 'uint8') return tensor(dims, new Uint8Array(buffer, byteOffset, byteLength));
  return tensor(dims, Array.from(new BigInt64Array(buffer, byteOffset, byteLength / 8), Number));
}

type Operator = (inputs: readonly Tensor[], node: Node) => Tensor[];

const strides = (shape: readonly number[]): number[] => shape.map((_, i) => size(shape.slice(i + 1)));

/** Position in a tensor of `shape` that broadcasts to index `at` of a larger shape. */
function position(shape: readonly number[], at: readonly number[]): number {
  const own = strides(shape);
  return shape.reduce((sum, dim, i) => sum + (dim === 1 ? 0 : at[at.length - shape.length + i]! * own[i]!), 0);
}

function indexOf(shape: readonly number[], flat: number): number[] {
  return strides(shape).map((stride, i) => Math.floor(flat / stride) % shape[i]!);
}

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x = 1, y = 1] = [a[i - rank + a.length], b[i - rank + b.length]];
    if (x !== y && x !== 1 && y !== 1) throw new Error(`cannot broadcast (${a.join()}) with (${b.join()})`);
    return x === 1 ? y : x;
  });
}

const binary =
  (f: (a: number, b: number) => number): Operator =>
  ([a, b]) => {
    const shape = broadcast(a!.shape, b!.shape);
    return [
      fill(shape, (i) => {
        const at = indexOf(shape, i);
        return f(a!.data[position(a!.shape, at)]!, b!.data[position(b!.shape, at)]!);
      }),
    ];
  };
const unary =
  (f: (x: number) => number): Operator =>
  ([x]) => [tensor(x!.shape, x!.data.map(f))];

/** Rows along the last axis, each mapped. */
const byRow =
  (f: (row: Float64Array) => ArrayLike<number>): Operator =>
  ([x]) => {
    const width = x!.shape.at(-1)!;
    const rows = Array.from({ length: x!.data.length / width }, (_, i) =>
      Array.from(f(x!.data.slice(i * width, (i + 1) * width))),
    );
    return [tensor([...x!.shape.slice(0, -1), rows[0]!.length], rows.flat())];
  };

/** The error function to double precision: its series, and its continued fraction far out. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  let sum = z;
  for (let n = 1, term = z; Math.abs(term) > 1e-18 * Math.abs(sum) && n < 400; n++) {
    term *= (-z * z) / n;
    sum += term / (2 * n + 1);
  }
  if (z > 3) {
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = k / 2 / (z + fraction);
    return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (z + fraction)));
  }
  return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
}

const flag = (node: Node, name: string): boolean => node.attributes[name] === 1n;
const number = (node: Node, name: string, fallback: number): number => Number(node.attributes[name] ?? fallback);
const swapLast = (x: Tensor): Tensor =>
  transpose(x, [...x.shape.keys()].slice(0, -2).concat(x.shape.length - 1, x.shape.length - 2));

function transpose(x: Tensor, perm: readonly number[]): Tensor {
  const shape = perm.map((axis) => x.shape[axis]!);
  const own = strides(x.shape);
  return fill(shape, (i) => {
    const at = indexOf(shape, i);
    return x.data[perm.reduce((sum, axis, k) => sum + at[k]! * own[axis]!, 0)]!;
  });
}

function matMul(a: Tensor, b: Tensor, alpha = 1): Tensor {
  const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [m, k, n] = [a.shape.at(-2)!, a.shape.at(-1)!, b.shape.at(-1)!];
  if (b.shape.at(-2) !== k) throw new Error(`cannot multiply (${a.shape.join()}) by (${b.shape.join()})`);
  const shape = [...lead, m, n];
  return fill(shape, (i) => {
    const at = indexOf(shape, i);
    let sum = 0;
    for (let p = 0; p < k; p++)
      sum +=
        a.data[position(a.shape, [...at.slice(0, -1), p])]! *
        b.data[position(b.shape, [...at.slice(0, -2), p, at.at(-1)!])]!;
    return alpha * sum;
  });
}

function reduce(x: Tensor, axes: readonly number[], keep: boolean, f: (values: number[]) => number): Tensor {
  const gone = new Set(axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)));
  const kept = x.shape.map((dim, i) => (gone.has(i) ? 1 : dim));
  const groups = Array.from({ length: size(kept) }, (): number[] => []);
  x.data.forEach((value, i) => groups[position(kept, indexOf(x.shape, i))]!.push(value));
  return tensor(keep ? kept : x.shape.filter((_, i) => !gone.has(i)), groups.map(f));
}

const reduction =
  (f: (values: number[]) => number): Operator =>
  ([x, axes], node) => [reduce(x!, Array.from(axes!.data), node.attributes['keepdims'] !== 0n, f)];

function take(x: Tensor, axis: number, from: number, to: number): Tensor {
  const shape = x.shape.map((dim, i) => (i === axis ? to - from : dim));
  const own = strides(x.shape);
  return fill(
    shape,
    (i) => x.data[indexOf(shape, i).reduce((sum, v, k) => sum + (k === axis ? v + from : v) * own[k]!, 0)]!,
  );
}

function join(values: readonly Tensor[], axis: number): Tensor {
  const total = values.reduce((sum, { shape }) => sum + shape[axis]!, 0);
  const shape = values[0]!.shape.map((dim, i) => (i === axis ? total : dim));
  return fill(shape, (i) => {
    const at = indexOf(shape, i);
    let v = 0;
    while (at[axis]! >= values[v]!.shape[axis]!) at[axis]! -= values[v++]!.shape[axis]!;
    return values[v]!.data[position(values[v]!.shape, at)]!;
  });
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const logSumExp = (values: readonly number[]): number => {
  const top = Math.max(...values);
  return top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
};

const operators: Readonly<Record<string, Operator>> = {
  Abs: unary(Math.abs),
  Add: binary((a, b) => a + b),
  Cast: ([x]) => [x!],
  Concat: (values, node) => {
    const axis = number(node, 'axis', 0);
    return [join(values, axis < 0 ? axis + values[0]!.shape.length : axis)];
  },
  DequantizeLinear: ([x, scale]) => [
    tensor(
      x!.shape,
      x!.data.map((v) => v * scale!.data[0]!),
    ),
  ],
  Div: binary((a, b) => a / b),
  Equal: binary((a, b) => Number(a === b)),
  Erf: unary(erf),
  Exp: unary(Math.exp),
  Expand: ([x, sizes]) => {
    const shape = broadcast(x!.shape, Array.from(sizes!.data));
    return [fill(shape, (i) => x!.data[position(x!.shape, indexOf(shape, i))]!)];
  },
  FusedMatMul: ([a, b], node) => [
    matMul(
      flag(node, 'transA') ? swapLast(a!) : a!,
      flag(node, 'transB') ? swapLast(b!) : b!,
      number(node, 'alpha', 1),
    ),
  ],
  Gather: ([x, indices], node) => {
    if (number(node, 'axis', 0) !== 0) throw new Error('only along the first axis');
    const width = size(x!.shape.slice(1));
    const rows = Array.from(indices!.data, (i) => Array.from(x!.data.subarray(i * width, (i + 1) * width)));
    return [tensor([...indices!.shape, ...x!.shape.slice(1)], rows.flat())];
  },
  Gelu: ([x], node) => [
    tensor(
      x!.shape,
      x!.data.map((v) =>
        node.attributes['approximate'] === 'tanh'
          ? (v / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))
          : (v / 2) * (1 + erf(v / Math.SQRT2)),
      ),
    ),
  ],
  Gemm: ([a, b, c], node) => {
    const product = matMul(
      flag(node, 'transA') ? swapLast(a!) : a!,
      flag(node, 'transB') ? swapLast(b!) : b!,
      number(node, 'alpha', 1),
    );
    return c ? binary((x, y) => x + y)([product, c], node) : [product];
  },
  Identity: ([x]) => [x!],
  LayerNormalization: ([x, scale, bias], node) => {
    const epsilon = number(node, 'epsilon', 1e-5);
    const mean = reduce(x!, [-1], true, (v) => v.reduce((s, a) => s + a, 0) / v.length);
    const centred = binary((a, b) => a - b)([x!, mean], node)[0]!;
    const inverse = reduce(
      centred,
      [-1],
      true,
      (v) => 1 / Math.sqrt(v.reduce((s, a) => s + a * a, 0) / v.length + epsilon),
    );
    const unit = binary((a, b) => a * b)([centred, inverse], node)[0]!;
    const scaled = binary((a, b) => a * b)([unit, scale!], node)[0]!;
    return [bias ? binary((a, b) => a + b)([scaled, bias], node)[0]! : scaled, mean, inverse];
  },
  Log: unary(Math.log),
  MatMul: ([a, b]) => [matMul(a!, b!)],
  Max: binary(Math.max),
  Mul: binary((a, b) => a * b),
  Neg: unary((x) => -x),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceMax: reduction((v) => Math.max(...v)),
  ReduceSum: reduction((v) => v.reduce((s, a) => s + a, 0)),
  Relu: unary((x) => Math.max(x, 0)),
  Reshape: ([x, sizes]) => {
    const shape = Array.from(sizes!.data, (dim, i) => (dim === 0 ? x!.shape[i]! : dim));
    const known = shape.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
    return [
      tensor(
        shape.map((dim) => (dim === -1 ? x!.data.length / known : dim)),
        x!.data,
      ),
    ];
  },
  ScatterElements: ([x, indices, updates]) => {
    const result = tensor(x!.shape, x!.data);
    indices!.data.forEach((row, i) => {
      const at = indexOf(indices!.shape, i);
      result.data[position(x!.shape, [row, ...at.slice(1)])]! += updates!.data[i]!;
    });
    return [result];
  },
  Shape: ([x]) => [tensor([x!.shape.length], x!.shape)],
  Sigmoid: unary(sigmoid),
  Sign: unary(Math.sign),
  Softmax: byRow((row) => {
    const total = logSumExp(Array.from(row));
    return row.map((v) => Math.exp(v - total));
  }),
  Softplus: unary((x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)))),
  Split: ([x, sizes], node) => {
    const axis = number(node, 'axis', 0);
    const count = number(node, 'num_outputs', 0);
    const parts = sizes ? Array.from(sizes.data) : Array.from({ length: count }, () => x!.shape[axis]! / count);
    let from = 0;
    return parts.map((part) => take(x!, axis, from, (from += part)));
  },
  Sqrt: unary(Math.sqrt),
  Sub: binary((a, b) => a - b),
  Tanh: unary(Math.tanh),
  Transpose: ([x], node) => [transpose(x!, (node.attributes['perm'] as readonly bigint[]).map(Number))],
  Unsqueeze: ([x, axes]) => {
    const shape = x!.shape.slice();
    for (const axis of axes!.data) shape.splice(axis, 0, 1);
    return [tensor(shape, x!.data)];
  },
};
