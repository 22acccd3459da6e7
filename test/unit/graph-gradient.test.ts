/** Every gradient rule against central differences in fp64. */
import { describe, expect, it } from 'vitest';
import { Graph, type Value } from '../../lib/graph/graph.js';
import { differentiate, type Inverse } from '../../lib/graph/gradient.js';
import { rules } from '../../lib/graph/gradient-rules.js';
import * as op from '../../lib/graph/ops.js';
import * as t from '../../lib/graph/training-ops.js';
import { fill, interpret, tensor, type Tensor } from './graph-interpreter.js';

/** Values that are neither alike nor near a kink. */
let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  const value = (state / 2 ** 32) * 2 - 1;
  return value + Math.sign(value) * 0.2;
};
const randomTensor = (shape: readonly number[]): Tensor => fill(shape, random);

interface Case {
  readonly op: string;
  readonly name?: string;
  /** Shapes of the inputs to differentiate. */
  readonly inputs: readonly (readonly number[])[];
  readonly build: (g: Graph, x: readonly Value[], inverses: Map<Value, Inverse>) => Value | Value[];
  /** Inputs that are not differentiated, by name. */
  readonly fixed?: Readonly<Record<string, Tensor>>;
  readonly positive?: boolean;
}

const unary = (name: string, f: (g: Graph, x: Value) => Value, positive = false): Case => ({
  op: name,
  inputs: [[3, 4]],
  build: (g, [x]) => f(g, x!),
  positive,
});
const binary = (name: string, f: (g: Graph, a: Value, b: Value) => Value): Case[] =>
  [
    [
      [3, 4],
      [3, 4],
    ],
    [[3, 4], [4]],
    [
      [3, 4],
      [1, 4],
    ],
    [
      [3, 1],
      [2, 3, 4],
    ],
    [[], [3, 2]],
  ].map((inputs) => ({
    op: name,
    name: `${name} (${inputs.map((s) => s.join('x')).join(') (')})`,
    inputs: inputs,
    build: (g, [a, b]) => f(g, a!, b!),
    positive: name === 'Div',
  }));

const matMuls: Case[] = [false, true].flatMap((transA) =>
  [false, true].map((transB) => ({
    op: 'FusedMatMul',
    name: `FusedMatMul ${transA ? 'Aᵀ' : 'A'} ${transB ? 'Bᵀ' : 'B'}`,
    inputs: [transA ? [2, 4, 3] : [2, 3, 4], transB ? [2, 5, 4] : [2, 4, 5]],
    build: (g: Graph, [a, b]: readonly Value[]) => t.fusedMatMul(g, a!, b!, { transA, transB, alpha: 0.7 }),
  })),
);

const cases: Case[] = [
  unary('Abs', op.abs),
  ...binary('Add', op.add),
  {
    op: 'Concat',
    inputs: [
      [2, 3],
      [2, 1],
      [2, 4],
    ],
    build: (g, x) => op.concat(g, x, 1, 8),
  },
  ...binary('Div', op.div),
  unary('Erf', op.erf),
  unary('Exp', t.exp),
  ...matMuls,
  {
    op: 'Gather',
    name: 'Gather from a table: rows',
    inputs: [[5, 2]],
    build: (g, [x]) => op.gather(g, x!, op.int64s(g, 3, 0, 3, 4)),
  },
  {
    op: 'Gather',
    name: 'Gather from what was computed',
    inputs: [[5, 2]],
    build: (g, [x]) =>
      op.gather(g, op.tanh(g, x!), op.reshape(g, op.int64s(g, 3, 0, 3, 4), op.int64s(g, 2, 2), [2, 2])),
  },
  {
    op: 'Gather',
    name: 'Gather with a declared inverse',
    inputs: [[4, 2]],
    build(g, [x], inverses) {
      const indices = op.int64s(g, 2, 0, 3);
      const mask = g.constant(Float32Array.of(1, 0, 1, 1), [4, 1]);
      inverses.set(indices, { indices: op.int64s(g, 1, 0, 0, 2), mask });
      return op.gather(g, op.tanh(g, x!), indices);
    },
  },
  unary('Gelu', (g, x) => op.gelu(g, x, 'none')),
  { ...unary('Gelu', (g, x) => op.gelu(g, x, 'tanh')), name: 'Gelu by tanh' },
  {
    op: 'Gemm',
    inputs: [[3, 4], [5, 4], [5]],
    build: (g, [x, w, b]) => op.linear(g, x!, w!, b),
  },
  {
    op: 'Gemm',
    name: 'Gemm into a sum that is there already',
    inputs: [
      [3, 4],
      [4, 4],
    ],
    build: (g, [x, w]) => op.add(g, op.linear(g, x!, w!), op.tanh(g, x!)),
  },
  {
    op: 'Gemm',
    name: 'Gemm of a plain product',
    inputs: [
      [3, 4],
      [4, 5],
    ],
    build: (g, [x, w]) => t.gemm(g, x!, w!, undefined, { alpha: 0.3 }),
  },
  unary('Identity', (g, x) => g.node('Identity', [x], [x])[0]!),
  {
    op: 'LayerNormalization',
    inputs: [[3, 6], [6], [6]],
    build: (g, [x, scale, bias]) => op.layerNormalization(g, x!, scale!, bias!, 1e-5),
  },
  unary('Log', t.log, true),
  {
    op: 'MatMul',
    inputs: [
      [2, 3],
      [3, 4],
    ],
    build: (g, [a, b]) => op.matMul(g, a!, b!),
  },
  ...binary('Max', op.max),
  ...binary('Mul', op.mul),
  {
    op: 'Mul',
    name: 'Mul by a mask, whose floats are made anew',
    inputs: [[2, 3]],
    build: (g, [x]) => op.mul(g, x!, t.scaledMask(g, g.constant(Uint8Array.of(1, 0, 1, 1, 0, 1), [2, 3]), 1.25)),
  },
  unary('Neg', op.neg),
  unary('ReduceLogSumExp', t.reduceLogSumExp),
  { op: 'ReduceMax', inputs: [[3, 5]], build: (g, [x]) => op.reduceMax(g, x!) },
  { op: 'ReduceSum', inputs: [[3, 4, 2]], build: (g, [x]) => t.reduceSum(g, x!, [0, 2], true) },
  unary('Relu', op.relu),
  {
    op: 'Reshape',
    inputs: [[3, 4]],
    build: (g, [x]) => op.reshape(g, x!, op.int64s(g, 2, 6), [2, 6]),
  },
  unary('Sigmoid', op.sigmoid),
  unary('Softmax', op.softmax),
  unary('Softplus', t.softplus),
  {
    op: 'Split',
    inputs: [[5, 3]],
    build: (g, [x]) => op.split(g, x!, op.int64s(g, 2, 2, 1), 0, [2, 2, 1]),
  },
  {
    op: 'Split',
    name: 'Split of which one part is used',
    inputs: [[3, 5]],
    build: (g, [x]) => op.split(g, x!, op.int64s(g, 2, 3), 1, [2, 3])[0]!,
  },
  unary('Sqrt', t.sqrt, true),
  ...binary('Sub', op.sub),
  unary('Tanh', op.tanh),
  { op: 'Transpose', inputs: [[2, 3, 4]], build: (g, [x]) => op.transpose(g, x!, 2, 0, 1) },
  { op: 'Unsqueeze', inputs: [[2, 3]], build: (g, [x]) => op.unsqueeze(g, x!, 1) },
];

describe('gradient rules against central differences', () => {
  for (const c of cases)
    it(c.name ?? c.op, () => {
      state = 7;
      const g = new Graph();
      const inverses = new Map<Value, Inverse>();
      const x = c.inputs.map((shape, i) => g.input(`x${i}`, 'float32', shape));
      const built = [c.build(g, x, inverses)].flat();
      // A loss in which every value counts differently.
      const feeds = new Map(c.inputs.map((shape, i) => [`x${i}`, positive(randomTensor(shape), c.positive)]));
      const terms = built.map((y) => {
        const weights = randomTensor(y.shape as number[]);
        const product = op.mul(g, y, g.constant(Float32Array.from(weights.data), y.shape as number[]));
        const axes = Array.from(y.shape.keys());
        return op.reshape(g, t.reduceSum(g, product, axes, true), op.int64s(g), []);
      });
      const loss = terms.reduce((a, b) => op.add(g, a, b));
      const gradients = differentiate(g, loss, { wanted: x, inverses });
      for (const [i, value] of x.entries()) {
        const { dense, rows } = gradients.get(value)!;
        const actual = new Float64Array(feeds.get(`x${i}`)!.data.length);
        if (dense) {
          const [found] = interpret(g, feeds, [dense]);
          expect(found!.shape).toEqual(c.inputs[i]);
          found!.data.forEach((v, k) => (actual[k]! += v));
        }
        for (const part of rows) {
          const [values, ids] = interpret(g, feeds, [part.rows, part.ids]);
          const width = values!.shape[1]!;
          ids!.data.forEach((id, row) => {
            for (let k = 0; k < width; k++) actual[id * width + k]! += values!.data[row * width + k]!;
          });
        }
        for (let k = 0; k < actual.length; k++)
          expect(Math.abs(actual[k]! - centralDifference(g, loss, feeds, `x${i}`, k))).toBeLessThan(1e-6);
      }
    });

  it('covers every rule', () => {
    expect([...new Set(cases.map((c) => c.op))].sort()).toEqual(Object.keys(rules).sort());
  });

  it('names an operator that has none', () => {
    const g = new Graph();
    const x = g.input('x', 'float32', [2]);
    const y = g.node('CumSum', [x, op.int64(g, 0)], [{ type: 'float32', shape: [2] }])[0]!;
    const loss = op.reshape(g, t.reduceSum(g, y, [0], true), op.int64s(g), []);
    expect(() => differentiate(g, loss, { wanted: [x] })).toThrow('CumSum');
  });
});

const positive = (x: Tensor, yes = false): Tensor =>
  yes
    ? tensor(
        x.shape,
        x.data.map((v) => Math.abs(v) + 0.3),
      )
    : x;

function centralDifference(g: Graph, loss: Value, feeds: Map<string, Tensor>, name: string, k: number): number {
  const h = 1e-5;
  const at = (delta: number): number => {
    const moved = tensor(feeds.get(name)!.shape, feeds.get(name)!.data);
    moved.data[k]! += delta;
    return interpret(g, new Map(feeds).set(name, moved), [loss])[0]!.data[0]!;
  };
  return (at(h) - at(-h)) / (2 * h);
}
