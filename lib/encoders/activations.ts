/** Activations by transformers' names. */
import * as op from '../graph/ops.js';
import type { Graph, Value } from '../graph/graph.js';

type Emit = (g: Graph, x: Value) => Value;

const geluExact: Emit = (g, x) => op.gelu(g, x, 'none');
const geluTanh: Emit = (g, x) => op.gelu(g, x, 'tanh');
const silu: Emit = (g, x) => op.mul(g, x, op.sigmoid(g, x));

const activations: Readonly<Record<string, Emit>> = {
  gelu: geluExact,
  gelu_python: geluExact,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  quick_gelu: (g, x) => op.mul(g, x, op.sigmoid(g, op.mul(g, x, op.float(g, 1.702)))),
  relu: op.relu,
  relu2(g, x) {
    const y = op.relu(g, x);
    return op.mul(g, y, y);
  },
  silu,
  swish: silu,
  sigmoid: op.sigmoid,
  tanh: op.tanh,
  linear: (_, x) => x,
};

/** The names that {@link activate} takes. */
export const activationNames: readonly string[] = Object.keys(activations);

/** Adds the activation `name`, one of {@link activationNames}. */
export const activate = (g: Graph, name: string, x: Value): Value => activations[name]!(g, x);
