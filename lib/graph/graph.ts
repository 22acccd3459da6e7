/**
 * A graph of operators under construction, with symbolic shapes: what an encoder is described in. Nodes stand in the order
 * in which they run, so that a pass over them (serialization, differentiation) needs no sorting.
 */
import type { ElementType } from '../formats/onnx.js';
import type { OpName } from './op-names.js';

/** A size: a number, or a name for one that is known only when the graph runs. */
export type Dim = number | string;

/** What flows between operators. */
export interface Value {
  /** Unique in the graph and the bodies inside it. */
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dim[];
}

/** Integers are bigints, floats numbers, as in the file format. A body sees the values of the graph around it. */
export type Attribute = number | bigint | string | readonly number[] | readonly bigint[] | Graph;

/** One operator at work. */
export interface Node {
  readonly op: OpName;
  /** An undefined input is an optional one that is left out. */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** The values of a constant: bytes, or a function that gives them when the graph is written. */
export type ConstantData = Uint8Array | (() => Uint8Array | Promise<Uint8Array>);

/** A byte range of a file that holds a constant's values. */
export interface FileRange {
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** A constant of the graph. Where `range` is given, the file holds the values that `data` would give. */
export interface Constant {
  readonly value: Value;
  readonly data: ConstantData;
  readonly range?: FileRange | undefined;
}

/** Type and shape of a value that is yet to get its name. */
export type Result = Omit<Value, 'name'>;

/** Typed arrays that constants are made of, with their element types. */
const arrayTypes = [
  [Float32Array, 'float32'],
  [BigInt64Array, 'int64'],
  [Int32Array, 'int32'],
  [Int8Array, 'int8'],
  [Uint8Array, 'uint8'],
] as const;

/** Arrays that {@link Graph.constant} takes. */
export type ConstantArray = Float32Array | BigInt64Array | Int32Array | Int8Array | Uint8Array;

/** A graph, or the body of an If or Loop. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  /** What comes out, under the names that callers ask for. */
  readonly outputs: { readonly name: string; readonly value: Value }[] = [];
  readonly constants: Constant[] = [];
  readonly #names: { count: number };
  readonly #shared = new Map<string, Value>();

  /** @param around the graph whose values the new one may use, where it is a body */
  constructor(around?: Graph) {
    this.#names = around ? around.#names : { count: 0 };
  }

  /** An input by its name. */
  input(name: string, type: ElementType, shape: readonly Dim[]): Value {
    const value: Value = { name, type, shape };
    this.inputs.push(value);
    return value;
  }

  /** Names `value` as an output. */
  output(name: string, value: Value): void {
    this.outputs.push({ name, value });
  }

  /** A constant; small ones of equal values are shared. `shape` is one row unless given, [] a scalar. */
  constant(array: ConstantArray, shape: readonly number[] = [array.length]): Value {
    const type = arrayTypes.find(([kind]) => array instanceof kind)![1];
    const key = array.length <= 8 ? `${type} ${shape.join()} ${array.join()}` : undefined;
    const known = key === undefined ? undefined : this.#shared.get(key);
    if (known) return known;
    const value: Value = { name: this.#name('const'), type, shape };
    this.constants.push({ value, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) });
    if (key !== undefined) this.#shared.set(key, value);
    return value;
  }

  /** A constant by its name, whose values come when the graph is written. */
  named(name: string, result: Result, data: ConstantData, range?: FileRange): Value {
    const value: Value = { ...result, name };
    this.constants.push({ value, data, range });
    return value;
  }

  /** Runs an operator. `results` say what comes out. */
  node(
    op: OpName,
    inputs: readonly (Value | undefined)[],
    results: readonly Result[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value[] {
    const outputs = results.map((result) => ({ ...result, name: this.#name(op) }));
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  #name(stem: string): string {
    return `${stem}_${++this.#names.count}`;
  }
}
