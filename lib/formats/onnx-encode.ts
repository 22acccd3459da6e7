import { elementTypes, type OnnxAttribute, type OnnxGraph, type OnnxModel, type OnnxNode } from './onnx.js';
import type { OnnxTensor, OnnxValue } from './onnx.js';
import { ProtobufWriter } from './protobuf.js';

/** The bytes of a model file as chunks to be written one after another; tensors' data are not copied. */
export function encodeOnnx(model: OnnxModel): readonly Uint8Array[] {
  const writer = new ProtobufWriter();
  writer.integer(1, model.irVersion);
  writer.text(2, model.producer);
  writer.message(7, (w) => {
    writeGraph(w, model.graph);
  });
  for (const [domain, version] of Object.entries(model.opsets))
    writer.message(8, (w) => {
      w.text(1, domain);
      w.integer(2, version);
    });
  for (const entry of Object.entries(model.metadata)) writePair(writer, 14, entry);
  return writer.chunks();
}

function writeGraph(writer: ProtobufWriter, graph: OnnxGraph): void {
  for (const node of graph.nodes)
    writer.message(1, (w) => {
      writeNode(w, node);
    });
  writer.text(2, graph.name);
  for (const tensor of graph.initializers)
    writer.message(5, (w) => {
      writeTensor(w, tensor);
    });
  for (const [number, values] of [
    [11, graph.inputs],
    [12, graph.outputs],
  ] as const)
    for (const value of values)
      writer.message(number, (w) => {
        writeValue(w, value);
      });
}

function writeNode(writer: ProtobufWriter, node: OnnxNode): void {
  for (const name of node.inputs) writer.text(1, name);
  for (const name of node.outputs) writer.text(2, name);
  writer.text(3, node.name);
  writer.text(4, node.op);
  for (const [name, value] of Object.entries(node.attributes))
    writer.message(5, (w) => {
      w.text(1, name);
      writeAttribute(w, value);
    });
  if (node.domain !== '') writer.text(7, node.domain);
}

/** Codes of AttributeProto.type. */
const attributeTypes = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 } as const;

function writeAttribute(writer: ProtobufWriter, value: OnnxAttribute): void {
  const type = (name: keyof typeof attributeTypes): void => {
    writer.integer(20, attributeTypes[name]);
  };
  if (typeof value === 'number') {
    writer.float(2, value);
    type('float');
  } else if (typeof value === 'bigint') {
    writer.integer(3, value);
    type('int');
  } else if (typeof value === 'string') {
    writer.bytes(4, Buffer.from(value, 'latin1'));
    type('string');
  } else if (isList(value)) {
    for (const item of value)
      if (typeof item === 'number') writer.float(7, item);
      else if (typeof item === 'bigint') writer.integer(8, item);
      else writer.bytes(9, Buffer.from(item, 'latin1'));
    type(typeof value[0] === 'number' ? 'floats' : typeof value[0] === 'string' ? 'strings' : 'ints');
  } else if ('nodes' in value) {
    writer.message(6, (w) => {
      writeGraph(w, value);
    });
    type('graph');
  } else {
    writer.message(5, (w) => {
      writeTensor(w, value);
    });
    type('tensor');
  }
}

const isList = (value: OnnxAttribute): value is Extract<OnnxAttribute, readonly unknown[]> => Array.isArray(value);

function writeTensor(writer: ProtobufWriter, { name, type, shape, data, external }: OnnxTensor): void {
  for (const size of shape) writer.integer(1, size);
  if (type !== undefined) writer.integer(2, elementTypes[type]);
  writer.text(8, name);
  if (external) {
    writePair(writer, 13, ['location', external.location]);
    writePair(writer, 13, ['offset', String(external.offset)]);
    writePair(writer, 13, ['length', String(external.byteLength)]);
    writer.integer(14, 1);
  } else writer.bytes(9, data ?? new Uint8Array(0));
}

function writeValue(writer: ProtobufWriter, value: OnnxValue): void {
  writer.text(1, value.name);
  writer.message(2, (w) => {
    if (!value.sequence) writeTensorType(w, value);
    else
      w.message(4, (sequence) => {
        sequence.message(1, (element) => {
          writeTensorType(element, value);
        });
      });
  });
}

function writeTensorType(writer: ProtobufWriter, { type, shape }: OnnxValue): void {
  if (type === undefined) return;
  writer.message(1, (tensor) => {
    tensor.integer(1, elementTypes[type]);
    if (shape)
      tensor.message(2, (list) => {
        for (const size of shape)
          list.message(1, (dim) => {
            if (typeof size === 'number') dim.integer(1, size);
            else dim.text(2, size);
          });
      });
  });
}

function writePair(writer: ProtobufWriter, number: number, [key, value]: readonly [string, string]): void {
  writer.message(number, (w) => {
    w.text(1, key);
    w.text(2, value);
  });
}
