/**
 * The gradient of every operator that encoders and losses are made of: one short rule each. `dy` is the gradient of the
 * output; a rule gives for every input a function that adds its gradient to the graph.
 */
import { FlatrankError } from '../errors.js';
import type { Graph, Node, Value } from './graph.js';
import type { Rule, Share, Walk } from './gradient.js';
import type { OpName } from './op-names.js';
import * as op from './ops.js';
import * as t from './training-ops.js';

/** Rules of operators with one output. */
type OneOutput = (walk: Walk, node: Node, dy: Value) => readonly (Share | undefined)[];
const one =
  (rule: OneOutput): Rule =>
  (walk, node, dys) =>
    rule(walk, node, dys[0]!);

/** Operators of one input: dx from x, y and dy. */
const unary = (dx: (g: Graph, x: Value, y: Value, dy: Value) => Value): Rule =>
  one(({ graph }, { inputs, outputs }, dy) => [() => dx(graph, inputs[0]!, outputs[0]!, dy)]);

/** Computed at the first call, for what several inputs share. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

const noGradient = (what: string): FlatrankError =>
  new FlatrankError('ERR_UNSUPPORTED', `There is no gradient of the operator ${what}`);

/** `dx` summed over the axes along which `x` was broadcast. */
function sumTo(g: Graph, dx: Value, x: Value): Value {
  const extra = dx.shape.length - x.shape.length;
  const stretched = dx.shape.flatMap((dim, i) => (i >= extra && x.shape[i - extra] === 1 && dim !== 1 ? [i] : []));
  const kept = stretched.length > 0 ? t.reduceSum(g, dx, stretched, true) : dx;
  return extra > 0
    ? t.reduceSum(
        g,
        kept,
        Array.from({ length: extra }, (_, i) => i),
        false,
      )
    : kept;
}

const attribute = (node: Node, name: string): number | undefined => {
  const value = node.attributes[name];
  return typeof value === 'bigint' || typeof value === 'number' ? Number(value) : undefined;
};

const scaled = (g: Graph, x: Value, factor: number): Value => op.mul(g, x, op.float(g, factor));
const inverseOf = (perm: readonly bigint[]): number[] =>
  Array.from(perm, (_, i) => perm.findIndex((axis) => Number(axis) === i));

/** alpha · op(A) op(B): the four cases of which side is transposed. */
function matMulShares(
  g: Graph,
  a: Value,
  b: Value,
  dy: Value,
  transA: boolean,
  transB: boolean,
  alpha: number,
): Share[] {
  const da = (): Value =>
    transA
      ? t.fusedMatMul(g, b, dy, { transA: transB, transB: true, alpha })
      : t.fusedMatMul(g, dy, b, { transB: !transB, alpha });
  const db = (): Value =>
    transB
      ? t.fusedMatMul(g, dy, a, { transA: true, transB: transA, alpha })
      : t.fusedMatMul(g, a, dy, { transA: !transA, alpha });
  return [() => sumTo(g, da(), a), () => sumTo(g, db(), b)];
}

/** Gelu(x) = x Φ(x), so its derivative is Φ(x) + x φ(x). */
function geluExact(g: Graph, x: Value, dy: Value): Value {
  const u = scaled(g, x, Math.SQRT1_2);
  const twiceCdf = op.add(g, op.erf(g, u), op.float(g, 1));
  const density = t.exp(g, op.neg(g, op.mul(g, u, u)));
  const slope = op.add(g, op.mul(g, op.mul(g, u, op.float(g, 2 / Math.sqrt(Math.PI))), density), twiceCdf);
  return op.mul(g, op.mul(g, dy, op.float(g, 0.5)), slope);
}

/** y = x/2 (1 + tanh z), z = c (x + k x³). */
function geluTanh(g: Graph, x: Value, dy: Value): Value {
  const c = Math.sqrt(2 / Math.PI);
  const k = 0.044715;
  const squared = op.mul(g, x, x);
  const inner = op.mul(g, x, op.add(g, scaled(g, squared, c * k), op.float(g, c)));
  const tanh = op.tanh(g, inner);
  const slope = op.mul(g, x, op.add(g, scaled(g, squared, 3 * c * k), op.float(g, c)));
  const bend = op.mul(g, op.sub(g, op.float(g, 1), op.mul(g, tanh, tanh)), slope);
  return op.mul(g, scaled(g, dy, 0.5), op.add(g, op.add(g, tanh, op.float(g, 1)), bend));
}

/** The rows of a table that were looked up: as rows where the table is a parameter, else added up in the graph. */
const gather: Rule = one((walk, node, dy) => {
  const { graph: g } = walk;
  const [x, indices] = node.inputs as [Value, Value];
  if (attribute(node, 'axis') !== 0) throw noGradient('Gather along another axis than the first');
  const inverse = walk.inverse(indices);
  if (inverse) {
    const dx = (): Value => {
      const rows = op.gather(g, dy, inverse.indices);
      return inverse.mask ? op.mul(g, rows, inverse.mask) : rows;
    };
    return [dx];
  }
  const cols = x.shape.slice(1);
  const width = cols.reduce<number>((product, dim) => product * (dim as number), 1);
  const flat = (): { rows: Value; ids: Value } =>
    indices.shape.length === 1 && x.shape.length === 2
      ? { rows: dy, ids: indices }
      : {
          rows: op.reshape(g, dy, op.int64s(g, -1, width), ['rows', width]),
          ids: op.reshape(g, indices, op.int64s(g, -1), ['rows']),
        };
  if (walk.isTable(x)) return [() => (walk.addRows(x, flat()), undefined)];
  return [
    () => {
      const { rows, ids } = flat();
      const zeros = g.constant(new Float32Array((x.shape[0] as number) * width), [x.shape[0] as number, width]);
      const column = op.reshape(g, ids, op.int64s(g, -1, 1), ['rows', 1]);
      return t.scatterAdd(g, zeros, t.expand(g, column, op.shapeOf(g, rows), rows.shape), rows);
    },
  ];
});

const layerNormalization: Rule = one(({ graph: g }, node, dy) => {
  const [x, scale, bias] = node.inputs as [Value, Value, Value | undefined];
  const size = scale.shape[0] as number;
  const lead = x.shape.length - 1;
  const epsilon = attribute(node, 'epsilon') ?? 1e-5;
  const ones = g.constant(new Float32Array(size).fill(1));
  const unit = once(() => t.normalized(g, x, ones, epsilon));
  const product = once(() => op.mul(g, dy, unit().value));
  const leading = Array.from({ length: lead }, (_, i) => i);
  const dx = (): Value => {
    // Means over the last axis of dy · scale and of dy · scale · x̂, as products with the column scale / size.
    const column = op.reshape(g, scaled(g, scale, 1 / size), op.int64s(g, size, 1), [size, 1]);
    const mean = op.matMul(g, dy, column);
    const meanProduct = op.matMul(g, product(), column);
    const centred = op.sub(g, op.sub(g, op.mul(g, dy, scale), mean), op.mul(g, unit().value, meanProduct));
    return op.mul(g, centred, unit().inverse);
  };
  return [dx, () => t.reduceSum(g, product(), leading, false), bias && (() => t.reduceSum(g, dy, leading, false))];
});

const gemm: Rule = one(({ graph: g }, node, dy) => {
  const [x, w, bias] = node.inputs as [Value, Value, Value | undefined];
  const alpha = attribute(node, 'alpha') ?? 1;
  const transB = attribute(node, 'transB') === 1;
  return [
    (sum) => {
      const dx = t.gemm(g, dy, w, sum, { transB: !transB, alpha });
      return sum ? { accumulated: dx } : dx;
    },
    () =>
      transB
        ? t.gemm(g, dy, x, undefined, { transA: true, alpha })
        : t.gemm(g, x, dy, undefined, { transA: true, alpha }),
    bias && (() => sumTo(g, dy, bias)),
  ];
});

/** Joined values are cut apart again. */
const concat: Rule = one((walk, node, dy) => {
  const values = node.inputs as readonly Value[];
  const axis = axisOf(node, values[0]!);
  const parts = once(() =>
    op.split(
      walk.graph,
      dy,
      walk.partSizes(values, axis),
      axis,
      values.map(({ shape }) => shape[axis]!),
    ),
  );
  return values.map((_, i) => () => parts()[i]!);
});

/** Parts are joined again; those that nobody used are zeros. */
const split: Rule = ({ graph: g }, node, dys) => [
  () => {
    const axis = axisOf(node, node.inputs[0]!);
    const parts = node.outputs.map((part, i) => dys[i] ?? scaled(g, part, 0));
    return op.concat(g, parts, axis, node.inputs[0]!.shape[axis]!);
  },
];

function axisOf(node: Node, x: Value): number {
  const axis = attribute(node, 'axis') ?? 0;
  return axis < 0 ? axis + x.shape.length : axis;
}

/** The sum's gradient reaches every summand. Losses keep the axes they sum over, so that it spreads by itself. */
const reduceSum: Rule = one(({ graph: g }, node, dy) => {
  const [x] = node.inputs as [Value];
  if (attribute(node, 'keepdims') !== 1) throw noGradient('ReduceSum without keepdims');
  return [() => t.expand(g, dy, op.shapeOf(g, x), x.shape)];
});

/** The gradient goes to the largest values, in equal shares where several are. */
const reduceMax: Rule = one(({ graph: g }, { inputs, outputs }, dy) => [
  () => {
    const last = inputs[0]!.shape.length - 1;
    const largest = op.cast(g, op.equal(g, inputs[0]!, op.unsqueeze(g, outputs[0]!, last)), 'float32');
    const share = op.div(g, op.unsqueeze(g, dy, last), t.reduceSum(g, largest, [last], true));
    return op.mul(g, largest, share);
  },
]);

/** 1 where a > b, 0 elsewhere. */
const greater = (g: Graph, a: Value, b: Value): Value => op.relu(g, t.sign(g, op.sub(g, a, b)));

/** The rules by operator. */
export const rules: Readonly<Partial<Record<OpName, Rule>>> = {
  Abs: unary((g, x, _, dy) => op.mul(g, dy, t.sign(g, x))),
  Add: one(({ graph: g }, { inputs: [a, b] }, dy) => [() => sumTo(g, dy, a!), () => sumTo(g, dy, b!)]),
  Concat: concat,
  Div: one(({ graph: g }, { inputs: [a, b], outputs: [y] }, dy) => [
    () => sumTo(g, op.div(g, dy, b!), a!),
    () => sumTo(g, op.neg(g, op.mul(g, dy, op.div(g, y!, b!))), b!),
  ]),
  Erf: unary((g, x, _, dy) => op.mul(g, dy, scaled(g, t.exp(g, op.neg(g, op.mul(g, x, x))), 2 / Math.sqrt(Math.PI)))),
  Exp: unary((g, _, y, dy) => op.mul(g, dy, y)),
  FusedMatMul: one(({ graph: g }, node, dy) => {
    const [a, b] = node.inputs as [Value, Value];
    const flag = (name: string): boolean => attribute(node, name) === 1;
    return matMulShares(g, a, b, dy, flag('transA'), flag('transB'), attribute(node, 'alpha') ?? 1);
  }),
  Gather: gather,
  Gelu: one(({ graph: g }, { inputs: [x], attributes }, dy) => [
    () => (attributes['approximate'] === 'tanh' ? geluTanh(g, x!, dy) : geluExact(g, x!, dy)),
  ]),
  Gemm: gemm,
  Identity: unary((_g, _x, _y, dy) => dy),
  LayerNormalization: layerNormalization,
  Log: unary((g, x, _, dy) => op.div(g, dy, x)),
  MatMul: one(({ graph: g }, { inputs: [a, b] }, dy) => matMulShares(g, a!, b!, dy, false, false, 1)),
  Max: one(({ graph: g }, { inputs: [a, b] }, dy) => [
    () => sumTo(g, op.mul(g, dy, greater(g, a!, b!)), a!),
    () => sumTo(g, op.mul(g, dy, greater(g, b!, a!)), b!),
  ]),
  Mul: one((walk, { inputs: [a, b] }, dy) => [
    () => sumTo(walk.graph, op.mul(walk.graph, dy, walk.again(b!)), a!),
    () => sumTo(walk.graph, op.mul(walk.graph, dy, walk.again(a!)), b!),
  ]),
  Neg: unary((g, _x, _y, dy) => op.neg(g, dy)),
  ReduceLogSumExp: unary((g, x, _, dy) => op.mul(g, op.softmax(g, x), dy)),
  ReduceMax: reduceMax,
  ReduceSum: reduceSum,
  Relu: unary((g, x, _, dy) => op.mul(g, dy, op.relu(g, t.sign(g, x)))),
  Reshape: one((walk, { inputs: [x] }, dy) => [() => op.reshape(walk.graph, dy, walk.sizes(x!), x!.shape)]),
  Sigmoid: unary((g, _, y, dy) => op.mul(g, dy, op.mul(g, y, op.sub(g, op.float(g, 1), y)))),
  Softmax: unary((g, _, y, dy) => {
    const weighted = t.reduceSum(g, op.mul(g, dy, y), [dy.shape.length - 1], true);
    return op.mul(g, op.sub(g, dy, weighted), y);
  }),
  Softplus: unary((g, x, _, dy) => op.mul(g, dy, op.sigmoid(g, x))),
  Split: split,
  Sqrt: unary((g, _, y, dy) => op.div(g, scaled(g, dy, 0.5), y)),
  Sub: one(({ graph: g }, { inputs: [a, b] }, dy) => [() => sumTo(g, dy, a!), () => sumTo(g, op.neg(g, dy), b!)]),
  Tanh: unary((g, _, y, dy) => op.mul(g, dy, op.sub(g, op.float(g, 1), op.mul(g, y, y)))),
  Transpose: one(({ graph: g }, { attributes }, dy) => [
    () => op.transpose(g, dy, ...inverseOf(attributes['perm'] as readonly bigint[])),
  ]),
  Unsqueeze: one((walk, { inputs: [x] }, dy) => [() => op.reshape(walk.graph, dy, walk.sizes(x!), x!.shape)]),
};
