import { FlatrankError } from '../errors.js';
import { elementSize, elementTypes, type ElementType, type ExternalData, type OnnxAttribute } from './onnx.js';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './onnx.js';
import { expectBytes, fieldsOf, MalformedProtobuf, textOf, varintsOf, wire, type Field } from './protobuf.js';

/** Graphs inside graphs, at most. */
const deepest = 16;

const typeNames = new Map(Object.entries(elementTypes).map(([name, code]) => [code as number, name as ElementType]));

/**
 * The model in `bytes`. Tensors are views of them. Fields that are not known here are skipped.
 * @param path what messages call the file
 * @throws FlatrankError `ERR_BAD_FILE` where the bytes are no ONNX model, or a tensor's data do not fit its shape
 */
export function decodeOnnx(bytes: Uint8Array, path: string): OnnxModel {
  try {
    return modelOf(bytes);
  } catch (error) {
    if (!(error instanceof MalformedProtobuf)) throw error;
    throw new FlatrankError('ERR_BAD_FILE', `Expected ${path} to be an ONNX model but ${error.message}`);
  }
}

function modelOf(bytes: Uint8Array): OnnxModel {
  let irVersion = 0;
  let producer = '';
  let graph: OnnxGraph | undefined;
  const opsets: Record<string, number> = {};
  const metadata: Record<string, string> = {};
  for (const field of fieldsOf(bytes))
    if (field.number === 1) irVersion = integer(field);
    else if (field.number === 2) producer = textOf(field);
    else if (field.number === 7) graph = graphOf(field, 0);
    else if (field.number === 8) {
      const { 1: domain, 2: version } = byNumber(field);
      set(opsets, domain ? textOf(domain) : '', version ? integer(version) : 0);
    } else if (field.number === 14) set(metadata, ...pairOf(field));
  if (!graph) throw new MalformedProtobuf('it holds no graph');
  return { irVersion, producer, opsets, metadata, graph };
}

function graphOf(field: Field, depth: number): OnnxGraph {
  if (depth > deepest) throw new MalformedProtobuf('its graphs are nested too deeply');
  let name = '';
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const inputs: OnnxValue[] = [];
  const outputs: OnnxValue[] = [];
  for (const part of fieldsOf(expectBytes(field).bytes))
    if (part.number === 1) nodes.push(nodeOf(part, depth));
    else if (part.number === 2) name = textOf(part);
    else if (part.number === 5) initializers.push(tensorOf(part));
    else if (part.number === 11) inputs.push(valueOf(part));
    else if (part.number === 12) outputs.push(valueOf(part));
  return { name, nodes, inputs, outputs, initializers };
}

function nodeOf(field: Field, depth: number): OnnxNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Record<string, OnnxAttribute> = {};
  let [op, domain, name] = ['', '', ''];
  for (const part of fieldsOf(expectBytes(field).bytes))
    if (part.number === 1) inputs.push(textOf(part));
    else if (part.number === 2) outputs.push(textOf(part));
    else if (part.number === 3) name = textOf(part);
    else if (part.number === 4) op = textOf(part);
    else if (part.number === 5) {
      const attribute = attributeOf(part, depth);
      if (attribute) set(attributes, ...attribute);
    } else if (part.number === 7) domain = textOf(part);
  return { op, domain, name, inputs, outputs, attributes };
}

function attributeOf(field: Field, depth: number): [string, OnnxAttribute] | undefined {
  let name = '';
  let value: OnnxAttribute | undefined;
  const floats: number[] = [];
  const ints: bigint[] = [];
  const strings: string[] = [];
  let type = 0;
  for (const part of fieldsOf(expectBytes(field).bytes))
    if (part.number === 1) name = textOf(part);
    else if (part.number === 2) value = floatsOf(part)[0];
    else if (part.number === 3) value = part.varint;
    else if (part.number === 4) value = latin1(part);
    else if (part.number === 5) value = tensorOf(part);
    else if (part.number === 6) value = graphOf(part, depth + 1);
    else if (part.number === 7) for (const item of floatsOf(part)) floats.push(item);
    else if (part.number === 8) for (const item of varintsOf(part)) ints.push(item);
    else if (part.number === 9) strings.push(latin1(part));
    else if (part.number === 20) type = integer(part);
  // Lists may be empty, and a zero may be left out: the type says which it is.
  const found = { 1: value ?? 0, 2: value ?? 0n, 3: value ?? '', 6: floats, 7: ints, 8: strings }[type] ?? value;
  return found === undefined ? undefined : [name, found];
}

function tensorOf(field: Field): OnnxTensor {
  const shape: number[] = [];
  const pairs: Record<string, string> = {};
  let name = '';
  let code = 0;
  let data: Uint8Array | undefined;
  let external = false;
  for (const part of fieldsOf(expectBytes(field).bytes))
    if (part.number === 1) for (const size of varintsOf(part)) shape.push(count(size));
    else if (part.number === 2) code = integer(part);
    else if (part.number === 8) name = textOf(part);
    else if (part.number === 9) data = expectBytes(part).bytes;
    else if (part.number === 13) set(pairs, ...pairOf(part));
    else if (part.number === 14) external = part.varint === 1n;
  const type = typeNames.get(code);
  const size = type && elementSize[type];
  const byteLength = size && shape.reduce((product, n) => product * n, size);
  if (external) return { name, type, shape, external: externalOf(name, pairs, byteLength) };
  if (data && byteLength !== undefined && data.length !== byteLength)
    throw new MalformedProtobuf(`the tensor '${name}' has ${data.length} bytes where its shape takes ${byteLength}`);
  return { name, type, shape, data };
}

function externalOf(name: string, pairs: Record<string, string>, expected: number | undefined): ExternalData {
  const { location, offset = '0', length } = pairs;
  const byteLength = length === undefined ? expected : Number(length);
  const broken = (what: string): MalformedProtobuf =>
    new MalformedProtobuf(`the tensor '${name}' has external data with ${what}`);
  if (location === undefined || location === '') throw broken('no location');
  if (!Number.isSafeInteger(Number(offset)) || Number(offset) < 0) throw broken('no valid offset');
  if (byteLength === undefined || (expected !== undefined && byteLength !== expected))
    throw broken('a length that does not fit its shape');
  return { location, offset: Number(offset), byteLength };
}

function valueOf(field: Field): OnnxValue {
  const { 1: name, 2: type } = byNumber(field);
  const { 1: single, 4: sequence } = type ? byNumber(type) : {};
  const inner = sequence && byNumber(sequence)[1];
  const tensor = single ?? (inner && byNumber(inner)[1]);
  const { 1: element, 2: dims } = tensor ? byNumber(tensor) : {};
  const shape =
    dims &&
    [...fieldsOf(expectBytes(dims).bytes)].map((dim) => {
      const { 1: size, 2: text } = byNumber(dim);
      return text ? textOf(text) : size ? count(size.varint) : '';
    });
  const value = { name: name ? textOf(name) : '', type: element && typeNames.get(integer(element)), shape };
  return sequence ? { ...value, sequence: true } : value;
}

/** The last field of each number of a message. */
function byNumber(field: Field): Partial<Record<number, Field>> {
  const found: Partial<Record<number, Field>> = {};
  for (const part of fieldsOf(expectBytes(field).bytes)) found[part.number] = part;
  return found;
}

function pairOf(field: Field): [string, string] {
  const { 1: key, 2: value } = byNumber(field);
  return [key ? textOf(key) : '', value ? textOf(value) : ''];
}

function integer(field: Field): number {
  if (field.type !== wire.varint) throw new MalformedProtobuf(`field ${field.number} has the wrong wire type`);
  return Number(field.varint);
}

function count(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new MalformedProtobuf('a dimension is out of range');
  return Number(value);
}

function floatsOf(field: Field): number[] {
  const { bytes } = field;
  if (field.type === wire.varint || bytes.length % 4 !== 0) throw new MalformedProtobuf('a float is broken');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
}

/** Strings of attributes are bytes: each as one character, which loses nothing. */
const latin1 = (field: Field): string => Buffer.from(expectBytes(field).bytes).toString('latin1');

/** As `record[key] = value`, also where the key is a name of Object.prototype. */
function set<T>(record: Record<string, T>, key: string, value: T): void {
  Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
}
