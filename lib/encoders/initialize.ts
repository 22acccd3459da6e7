/** Random weights, as transformers starts a model. */
import { FlatrankError } from '../errors.js';
import { Graph } from '../graph/graph.js';
import { normals } from '../random/normal.js';
import { Builder, type ParameterProvider } from './builder.js';
import { classScores, tokenVectors } from './encoder.js';
import type { Encoder } from './families.js';
import type { Checkpoint, Parameter, ParameterSource } from './parameters.js';
import { StreamLayout } from './stream-layout.js';

/** Names and shapes of the parameters of an encoder, with a head for `labels` classes unless undefined. */
export function parameterShapes(encoder: Encoder, labels: number | undefined): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const record: ParameterProvider = (graph, name, shape) => {
    shapes.set(name, shape);
    return graph.input(name, 'float32', shape);
  };
  const graph = new Graph();
  const builder = new Builder(graph, new StreamLayout(graph, encoder.architecture), record);
  if (labels === undefined) tokenVectors(builder, encoder, false);
  else classScores(builder, encoder, labels);
  return shapes;
}

/** Parameters held in memory. */
class MemoryParameters implements ParameterSource {
  readonly directory: string;
  readonly #parameters: ReadonlyMap<string, Parameter>;

  constructor(directory: string, parameters: ReadonlyMap<string, Parameter>) {
    this.directory = directory;
    this.#parameters = parameters;
  }

  has(name: string): boolean {
    return this.#parameters.has(name);
  }

  get(name: string): Parameter {
    return this.#parameters.get(name)!;
  }
}

/**
 * Random parameters: weights normal with the configuration's `initializer_range`, biases zero, normalisations the identity,
 * the padding token's embeddings zero.
 * @param labels classes of the head; undefined for none
 * @param body a checkpoint that gives the parameters it has, but for the head
 * @throws FlatrankError `ERR_BAD_FILE` where `body` lacks a parameter, or has it in another shape
 */
export function initialParameters(
  encoder: Encoder,
  o: { labels: number | undefined; seed: number; directory: string; body?: Checkpoint | undefined },
): ParameterSource {
  const inBody = parameterShapes(encoder, undefined);
  const parameters = new Map<string, Parameter>();
  for (const [name, shape] of parameterShapes(encoder, o.labels)) {
    // A pooler belongs to the body, though only a head uses it.
    const kept = o.body && (inBody.has(name) || (name.startsWith('pooler.') && o.body.find(name)));
    parameters.set(name, kept ? o.body!.get(name, shape) : inMemory(shape, initial(encoder, name, shape, o.seed)));
  }
  return new MemoryParameters(o.directory, parameters);
}

/** A parameter of these values. */
export function inMemory(shape: readonly number[], values: Float32Array): Parameter {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return {
    dtype: 'F32',
    shape,
    byteLength: values.byteLength,
    read: () => Promise.resolve(bytes),
    float32: () => Promise.resolve(values),
  };
}

function initial({ architecture: a }: Encoder, name: string, shape: readonly number[], seed: number): Float32Array {
  const count = shape.reduce((product, n) => product * n, 1);
  try {
    if (/norm\.weight$/i.test(name)) return new Float32Array(count).fill(1);
    if (name.endsWith('.bias')) return new Float32Array(count);
    const values = normals(count, a.initializerRange, seed, name);
    const padded = name.includes('word_embeddings') || (a.positionsFrom === 'padding' && name.includes('position_emb'));
    if (padded) values.fill(0, a.padId * shape[1]!, (a.padId + 1) * shape[1]!);
    return values;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FlatrankError('ERR_OUT_OF_MEMORY', `Memory for \`${name}\` (${shape.join(', ')}) could not be had`);
  }
}
