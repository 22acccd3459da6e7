/** From a graph to the bytes of an ONNX model. */
import { encodeOnnx } from '../formats/onnx-encode.js';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../formats/onnx.js';
import type { Constant, Graph, Node, Value } from './graph.js';
import { contribOps } from './op-names.js';

/** What {@link writeGraph} takes. */
export interface WriteOptions {
  /** Version of ONNX's operator set. */
  readonly opset: number;
  /** Where a constant's values lie in a file, its place as the model shall name it; undefined puts them into the model. */
  readonly external?: ((constant: Constant) => OnnxTensor['external']) | undefined;
}

const domains = new Map<string, string>(contribOps.map((op) => [op, 'com.microsoft']));

/**
 * The bytes of `graph` as an ONNX model, as chunks to be written one after another.
 * @throws FlatrankError where a constant's values cannot be read
 */
export async function writeGraph(graph: Graph, o: WriteOptions): Promise<readonly Uint8Array[]> {
  const contrib = usesContrib(graph);
  return encodeOnnx({
    irVersion: o.opset >= 20 ? 9 : 8,
    producer: 'flatrank',
    opsets: contrib ? { '': o.opset, 'com.microsoft': 1 } : { '': o.opset },
    metadata: {},
    graph: await onnxGraph(graph, 'encoder', o),
  });
}

async function onnxGraph(graph: Graph, name: string, o: WriteOptions): Promise<OnnxGraph> {
  const nodes: OnnxNode[] = [];
  for (const node of graph.nodes) nodes.push(await onnxNode(node, o));
  // An output is a copy under its own name: the value may be one of the graph's inputs, or go out twice.
  for (const { name: output, value } of graph.outputs)
    nodes.push({
      op: 'Identity',
      domain: '',
      name: `out_${output}`,
      inputs: [value.name],
      outputs: [output],
      attributes: {},
    });
  const initializers: OnnxTensor[] = [];
  for (const constant of graph.constants) initializers.push(await onnxTensor(constant, o));
  return {
    name,
    nodes,
    inputs: graph.inputs.map(onnxValue),
    outputs: graph.outputs.map(({ name: output, value }) => onnxValue({ ...value, name: output })),
    initializers,
  };
}

async function onnxNode({ op, inputs, outputs, attributes }: Node, o: WriteOptions): Promise<OnnxNode> {
  const name = outputs[0]!.name;
  const written: Record<string, OnnxAttribute> = {};
  for (const [key, value] of Object.entries(attributes))
    written[key] = typeof value === 'object' && 'nodes' in value ? await onnxGraph(value, `${name}_${key}`, o) : value;
  return {
    op,
    domain: domains.get(op) ?? '',
    name,
    inputs: inputs.map((input) => input?.name ?? ''),
    outputs: outputs.map((output) => output.name),
    attributes: written,
  };
}

async function onnxTensor(constant: Constant, { external }: WriteOptions): Promise<OnnxTensor> {
  const { value, data } = constant;
  const tensor = { name: value.name, type: value.type, shape: value.shape as readonly number[] };
  const place = external?.(constant);
  if (place) return { ...tensor, external: place };
  return { ...tensor, data: typeof data === 'function' ? await data() : data };
}

const onnxValue = ({ name, type, shape }: Value): OnnxValue => ({ name, type, shape });

function usesContrib(graph: Graph): boolean {
  return graph.nodes.some(
    ({ op, attributes }) =>
      domains.has(op) || Object.values(attributes).some((a) => typeof a === 'object' && 'nodes' in a && usesContrib(a)),
  );
}
