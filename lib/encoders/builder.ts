import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import type { Columns, Layout } from './layout.js';
import type { Checkpoint } from './parameters.js';

/** Where parameters come from: adds one of a certain shape to the graph. */
export type ParameterProvider = (graph: Graph, name: string, shape: readonly number[]) => Value;

/** How linear layers of one input are computed: x (m, inputs) to (m, outputs), each with `name`.weight and `name`.bias. */
export type LinearLayers = (
  b: Builder,
  names: readonly string[],
  x: Value,
  inputs: number,
  outputs: number,
) => Columns[];

/** Which of an architecture's dropout probabilities counts. */
export type DropoutKind = 'hidden' | 'attention' | 'classifier';

/** What is done where training drops values: nothing, unless a graph is for training. */
export type Dropout = (x: Value, kind: DropoutKind) => Value;

/** In 32-bit floats, one by one; the weight as torch keeps it. */
export const floatLinears: LinearLayers = (b, names, x, inputs, outputs) =>
  names.flatMap((name) => {
    const [weight, bias] = [b.parameter(`${name}.weight`, [outputs, inputs]), b.parameter(`${name}.bias`, [outputs])];
    return apart(op.linear(b.graph, x, weight, bias), 1);
  });

/** The same as one layer: a product with a wide matrix is faster than several with narrow ones. */
export const joinedLinears: LinearLayers = (b, names, x, inputs, outputs) => {
  if (names.length === 1) return floatLinears(b, names, x, inputs, outputs);
  const { graph } = b;
  const weights = names.map((name) => b.parameter(`${name}.weight`, [outputs, inputs]));
  const biases = names.map((name) => b.parameter(`${name}.bias`, [outputs]));
  const rows = names.length * outputs;
  const joined = op.linear(graph, x, op.concat(graph, weights, 0, rows), op.concat(graph, biases, 0, rows));
  return apart(joined, names.length);
};

/** The `parts` parts of x (m, parts · outputs). */
export const apart = (x: Value, parts: number): Columns[] =>
  Array.from({ length: parts }, (_, part) => ({ x, part, parts }));

/** Parameters as constants of the graph, by reference to their file; 16-bit ones are widened when the model loads. */
export const constantsOf =
  (checkpoint: Checkpoint): ParameterProvider =>
  (graph, name, shape) => {
    const parameter = checkpoint.get(name, shape);
    const { dtype, file, offset, byteLength } = parameter;
    const type = dtype === 'F32' ? 'float32' : dtype === 'F16' ? 'float16' : 'bfloat16';
    const range = file === undefined || offset === undefined ? undefined : { file, offset, byteLength };
    const value = graph.named(name, { type, shape }, () => parameter.read(), range);
    return type === 'float32' ? value : op.cast(graph, value, 'float32');
  };

/** Parameters as inputs of the graph, under their names. */
export const inputParameters: ParameterProvider = (graph, name, shape) => graph.input(name, 'float32', shape);

/** What an encoder is described with: layers over the graph's operators, parameters by name. */
export class Builder {
  readonly graph: Graph;
  readonly layout: Layout;
  readonly #provider: ParameterProvider;
  readonly #linears: LinearLayers;
  readonly #known = new Map<string, Value>();
  /** Values that training drops. */
  readonly dropout: Dropout;

  constructor(
    graph: Graph,
    layout: Layout,
    provider: ParameterProvider,
    linears: LinearLayers = floatLinears,
    dropout: Dropout = (x) => x,
  ) {
    this.graph = graph;
    this.layout = layout;
    this.#provider = provider;
    this.#linears = linears;
    this.dropout = dropout;
  }

  /** The parameter `name`, added to the graph where it is first used. */
  parameter(name: string, shape: readonly number[]): Value {
    let value = this.#known.get(name);
    if (!value) this.#known.set(name, (value = this.#provider(this.graph, name, shape)));
    return value;
  }

  /** A linear layer: x (m, inputs) to (m, outputs). */
  linear(name: string, x: Value, inputs: number, outputs: number): Value {
    return this.linears([name], x, inputs, outputs)[0]!.x;
  }

  /** Several linear layers of one input. */
  linears(names: readonly string[], x: Value, inputs: number, outputs: number): Columns[] {
    return this.#linears(this, names, x, inputs, outputs);
  }

  /** Layer normalisation with its own scale and bias. */
  normalization(name: string, x: Value, size: number, epsilon: number): Value {
    const [scale, bias] = [this.parameter(`${name}.weight`, [size]), this.parameter(`${name}.bias`, [size])];
    return op.layerNormalization(this.graph, x, scale, bias, epsilon);
  }

  /** Rows of the table `name`. */
  embedding(name: string, ids: Value, rows: number, cols: number): Value {
    return op.gather(this.graph, this.parameter(`${name}.weight`, [rows, cols]), ids);
  }
}
