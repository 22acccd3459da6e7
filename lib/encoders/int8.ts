/**
 * Linear layers in 8-bit integers. A token's vector has one scale, found when it is computed, and a weight one for each output:
 * no calibration is needed, and no token's numbers depend on another's.
 */
import type { Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import { floatLinear, type Builder, type LinearLayer } from './builder.js';
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
export function int8Linear({ family, architecture }: Encoder, checkpoint: Checkpoint): LinearLayer {
  const names = new Set<string>();
  for (let i = 0; i < architecture.layers; i++) {
    const { query, key, value, attentionOutput, intermediate, output } = family.layer(i);
    for (const name of [query, key, value, attentionOutput, intermediate, output]) names.add(name);
  }
  const activations = new Map<Value, Quantized>();
  const centres = new Map<unknown, Value>();
  return (b, name, x, inputs, outputs) => {
    if (!names.has(name)) return floatLinear(b, name, x, inputs, outputs);
    // Query, key and value read the same vectors.
    let quantized = activations.get(x);
    if (!quantized) activations.set(x, (quantized = quantize(b, x, centres)));
    const { values, scales } = quantized;
    const weight = checkpoint.get(`${name}.weight`, [outputs, inputs]);
    let parts: Promise<QuantizedWeight> | undefined;
    const part = (key: keyof QuantizedWeight) => async (): Promise<Uint8Array> => {
      parts ??= weight.float32().then((w) => quantizeWeight(w, inputs, outputs));
      return (await parts)[key];
    };
    const { graph } = b;
    const w = graph.named(`${name}.weight_int8`, { type: 'int8', shape: [inputs, outputs] }, part('values'));
    const s = graph.named(`${name}.weight_scale`, { type: 'float32', shape: [outputs] }, part('scales'));
    const y = op.matMulIntegerToFloat(graph, values, w, s, centre);
    return op.add(graph, op.mul(graph, y, scales), b.parameter(`${name}.bias`, [outputs]));
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
  /** (inputs · outputs) signed bytes. */
  readonly values: Uint8Array;
  /** (outputs) 32-bit floats. */
  readonly scales: Uint8Array;
}

/** @param w (outputs · inputs), as torch keeps it */
function quantizeWeight(w: Float32Array, inputs: number, outputs: number): QuantizedWeight {
  const values = new Int8Array(w.length);
  const scales = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let largest = 0;
    for (let i = o * inputs; i < (o + 1) * inputs; i++) largest = Math.max(largest, Math.abs(w[i]!));
    scales[o] = largest / largestWeight || 1;
    const inverse = largestWeight / largest || 0;
    for (let i = 0; i < inputs; i++) values[i * outputs + o] = Math.round(w[o * inputs + i]! * inverse);
  }
  return { values: new Uint8Array(values.buffer), scales: new Uint8Array(scales.buffer) };
}
