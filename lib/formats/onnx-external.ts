/** The files that an ONNX model keeps its tensors in, where they do not lie in the model itself. */
import { readFile } from 'node:fs/promises';
import { FlatrankError } from '../errors.js';
import { decodeOnnx } from './onnx-decode.js';
import type { OnnxAttribute, OnnxGraph, OnnxTensor } from './onnx.js';

/**
 * Paths of the external data of the model at `path`, relative to its folder with forward slashes, in order.
 * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be read, `ERR_BAD_FILE` where it is no ONNX model or names a file
 *   outside its folder
 */
export async function externalDataOf(path: string): Promise<string[]> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new FlatrankError('ERR_NOT_FOUND', `Expected a file ${path} but it cannot be read: ${String(cause)}`, {
      cause,
    });
  });
  const locations = new Set<string>();
  for (const { external } of tensorsOf(decodeOnnx(bytes, path).graph))
    if (external) locations.add(external.location.replace(/^\.\//, ''));
  for (const location of locations)
    if (location.split('/').some((part) => /^\.{0,2}$|[\\:\0]/.test(part)))
      throw new FlatrankError(
        'ERR_BAD_FILE',
        `Expected ${path} to name files in its folder but received ${JSON.stringify(location)}`,
      );
  return [...locations].sort();
}

function* tensorsOf(graph: OnnxGraph): Generator<OnnxTensor, void, undefined> {
  yield* graph.initializers;
  for (const { attributes } of graph.nodes)
    for (const value of Object.values(attributes))
      if (isGraph(value)) yield* tensorsOf(value);
      else if (isTensor(value)) yield value;
}

function isGraph(value: OnnxAttribute): value is OnnxGraph {
  return typeof value === 'object' && 'initializers' in value;
}

function isTensor(value: OnnxAttribute): value is OnnxTensor {
  return typeof value === 'object' && 'shape' in value;
}
