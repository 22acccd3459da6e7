/** The weights of a saved model: as safetensors, and inside ONNX graphs. */
import { copyFile, mkdir, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exportedGraph, parameterShapes, type Checkpoint, type Encoder, type LinearLayers } from '../encoders/index.js';
import { externalDataOf } from '../formats/onnx-external.js';
import { elementSize, type ExternalData } from '../formats/onnx.js';
import { writeSafetensors, type TensorData } from '../formats/safetensors-write.js';
import type { Constant } from '../graph/graph.js';
import { writeGraph } from '../graph/write.js';
import type { SavedWeights } from './open-encoder.js';

/** Version of ONNX's operators in the file: the first with Gelu. */
const opset = 20;

/** A model's protobuf must stay below 2 GiB; from here on its weights go into a file beside it. */
const maxInlineBytes = 2 ** 31 - 2 ** 24;

type CheckpointWeights = Extract<SavedWeights, { type: 'checkpoint' }>;

/** Every parameter in 32-bit floats, under transformers' names. */
export async function writeWeights(path: string, { encoder, checkpoint, labels }: CheckpointWeights): Promise<void> {
  const body = parameterShapes(encoder, undefined);
  const tensors = new Map<string, TensorData>();
  for (const [name, shape] of savedShapes(encoder, checkpoint, labels)) {
    const inBody = body.has(name) || name.startsWith('pooler.');
    const saved = labels !== undefined && inBody ? `${encoder.family.prefix}.${name}` : name;
    tensors.set(saved, floats(shape, await checkpoint.get(name, shape).float32()));
  }
  await writeSafetensors(path, tensors);
}

/** The parameters that the graph uses, and the pooler that transformers keeps in the body, where there is one. */
function savedShapes(
  encoder: Encoder,
  checkpoint: Checkpoint,
  labels: number | undefined,
): Map<string, readonly number[]> {
  const shapes = parameterShapes(encoder, labels);
  const { hidden } = encoder.architecture;
  const pooler = { 'pooler.dense.weight': [hidden, hidden], 'pooler.dense.bias': [hidden] };
  if (encoder.family.pooler && labels === undefined)
    for (const [name, shape] of Object.entries(pooler)) if (checkpoint.find(name)) shapes.set(name, shape);
  return shapes;
}

/** The padded graph, with its weights inside where they fit. */
export async function writeOnnx(
  path: string,
  { encoder, checkpoint, labels }: CheckpointWeights,
  linears?: LinearLayers,
): Promise<void> {
  const graph = exportedGraph(encoder, checkpoint, labels, linears);
  // What is a function gives a parameter's values: everything else is small.
  const parameters = graph.constants.filter(({ data }) => typeof data === 'function');
  const sizes = parameters.map(({ value: { type, shape } }) =>
    shape.reduce<number>((product, n) => product * Number(n), elementSize[type]!),
  );
  if (sizes.reduce((a, b) => a + b, 0) <= maxInlineBytes) return writeChunks(path, await writeGraph(graph, { opset }));
  const location = `${basename(path)}_data`;
  const places = new Map<Constant, ExternalData>();
  let offset = 0;
  for (const [i, constant] of parameters.entries()) {
    places.set(constant, { location, offset, byteLength: sizes[i]! });
    offset += sizes[i]!;
  }
  await writeChunks(join(dirname(path), location), valuesOf(parameters));
  return writeChunks(path, await writeGraph(graph, { opset, external: (constant) => places.get(constant) }));
}

async function* valuesOf(constants: readonly Constant[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { data } of constants) yield typeof data === 'function' ? await data() : data;
}

async function writeChunks(path: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for await (const chunk of chunks) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

/** A tensor of these values. */
export const floats = (shape: readonly number[], values: Float32Array): TensorData => ({
  dtype: 'F32',
  shape,
  data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/** Copies an ONNX file, under its name, and the files that it names to `folder`. */
export async function copyOnnx(file: string, folder: string): Promise<void> {
  for (const name of [basename(file), ...(await externalDataOf(file))]) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await copyFile(join(dirname(file), name), join(folder, name));
  }
}
