/**
 * Linear layers in 8-bit integers. A token's vector has one scale, found when it is computed, and a weight one for each output:
 * no calibration is needed, and no token's numbers depend on another's.
 */
import type { Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import { apart, joinedLinears, type Builder, type LinearLayers } from './builder.js';
import type { Encoder } from './families.js';
import type { Checkpoint } from './parameters.js';

/**
 * The largest weight. Processors without VNNI add pairs of products in 16 bits: 2 · 255 · 64 just fits, 2 · 255 · 127 would
 * saturate.
 */
const largestWeight = 64;

/** Activations are centred on 128 and reach 127 from it. */
const centre = 128;
const reach = 127;

/** The layers of the transformer in integers; a head, which sees one token a text, stays in floats. */
export function int8Linears({ family, architecture }: Encoder, checkpoint: Checkpoint): LinearLayers {
  const known = new Set<string>();
  for (let i = 0; i < architecture.layers; i++) {
    const { query, key, value, attentionOutput, intermediate, output } = family.layer(i);
    for (const name of [query, key, value, attentionOutput, intermediate, output]) known.add(name);
  }
  const activations = new Map<Value, Quantized>();
  const centres = new Map<unknown, Value>();
  return (b, names, x, inputs, outputs) => {
    if (!names.every((name) => known.has(name))) return joinedLinears(b, names, x, inputs, outputs);
    // The last layer's query reads other vectors than its key and value.
    let quantized = activations.get(x);
    if (!quantized) activations.set(x, (quantized = quantize(b, x, centres)));
    const { values, scales } = quantized;
    const weights = names.map((name) => checkpoint.get(`${name}.weight`, [outputs, inputs]));
    let parts: Promise<QuantizedWeight> | undefined;
    const part = (key: keyof QuantizedWeight) => async (): Promise<Uint8Array> => {
      parts ??= Promise.all(weights.map((weight) => weight.float32())).then((all) =>
        quantizeWeights(all, inputs, outputs),
      );
      return (await parts)[key];
    };
    const { graph } = b;
    const columns = names.length * outputs;
    const stem = `${names.join('+')}.weight`;
    const w = graph.named(`${stem}_int8`, { type: 'int8', shape: [inputs, columns] }, part('values'));
    const s = graph.named(`${stem}_scale`, { type: 'float32', shape: [columns] }, part('scales'));
    const biases = names.map((name) => b.parameter(`${name}.bias`, [outputs]));
    const bias = biases.length === 1 ? biases[0]! : op.concat(graph, biases, 0, columns);
    const y = op.matMulIntegerToFloat(graph, values, w, s, centre);
    const joined = op.add(graph, op.mul(graph, y, scales), bias);
    return apart(joined, names.length);
  };
}

interface Quantized {
  /** (m, inputs) bytes. */
  readonly values: Value;
  /** (m, 1) */
  readonly scales: Value;
}

/** Vectors of bytes, each with its own scale. A vector of zeros stays one. */
function quantize({ graph }: Builder, x: Value, centres: Map<unknown, Value>): Quantized {
  const largest = op.reduceMax(graph, op.abs(graph, x));
  const scales = op.max(graph, op.mul(graph, largest, op.float(graph, 1 / reach)), op.float(graph, 1e-30));
  const [rows] = x.shape;
  let zeros = centres.get(rows);
  if (!zeros) {
    const byte = graph.constant(Uint8Array.of(centre), [1]);
    centres.set(rows, (zeros = op.expand(graph, byte, op.shapeOf(graph, scales), [rows!])));
  }
  return { values: op.quantizeRows(graph, x, scales, zeros), scales: op.unsqueeze(graph, scales, 1) };
}

interface QuantizedWeight {
  /** (inputs, outputs of all) signed bytes. */
  readonly values: Uint8Array;
  /** (outputs of all) 32-bit floats. */
  readonly scales: Uint8Array;
}

/** Matrices side by side. @param weights each (outputs, inputs), as torch keeps it */
function quantizeWeights(weights: readonly Float32Array[], inputs: number, outputs: number): QuantizedWeight {
  const columns = weights.length * outputs;
  const values = new Int8Array(inputs * columns);
  const scales = new Float32Array(columns);
  for (const [m, w] of weights.entries())
    for (let o = 0; o < outputs; o++) {
      const column = m * outputs + o;
      const row = w.subarray(o * inputs, (o + 1) * inputs);
      let largest = 0;
      for (const weight of row) largest = Math.max(largest, Math.abs(weight));
      scales[column] = largest / largestWeight || 1;
      const inverse = largestWeight / largest || 0;
      for (let i = 0; i < inputs; i++) values[i * columns + column] = Math.round(row[i]! * inverse);
    }
  return { values: new Uint8Array(values.buffer), scales: new Uint8Array(scales.buffer) };
}
