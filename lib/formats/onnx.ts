/**
 * ONNX models (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) as plain objects: types, and tables of the format.
 * Tensors are views; those with external data are byte ranges of another file. Knows no model.
 */

/** Codes of the element types, by the names used here. */
export const elementTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;

/** An element type by its name. */
export type ElementType = keyof typeof elementTypes;

/** Bytes of one element; types of other sizes (strings, 4-bit integers) are not here. */
export const elementSize: Readonly<Partial<Record<ElementType, number>>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  float64: 8,
  uint32: 4,
  uint64: 8,
  bfloat16: 2,
};

/** A byte range of a file beside the model. */
export interface ExternalData {
  /** Path of the file, relative to the model's folder. */
  readonly location: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** A constant tensor. Exactly one of `data` and `external` is there, unless the file keeps its values in typed fields. */
export interface OnnxTensor {
  readonly name: string;
  /** Undefined for a type that is not in {@link elementTypes}. */
  readonly type: ElementType | undefined;
  readonly shape: readonly number[];
  /** Little-endian elements, row-major. */
  readonly data?: Uint8Array | undefined;
  readonly external?: ExternalData | undefined;
}

/** The value of a node's attribute. Numbers are floats, bigints integers. */
export type OnnxAttribute =
  number | bigint | string | OnnxTensor | OnnxGraph | readonly number[] | readonly bigint[] | readonly string[];

/** One operator. An empty input name stands for an optional input that is left out. */
export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** An input or output of a graph; dimensions are sizes or names. Undefined parts are not given by the file. */
export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType | undefined;
  readonly shape: readonly (number | string)[] | undefined;
  /** Whether the value is a sequence of such tensors. */
  readonly sequence?: boolean;
}

/** A graph, or the body of an operator such as If. */
export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxTensor[];
}

/** A model file. */
export interface OnnxModel {
  readonly irVersion: number;
  readonly producer: string;
  /** Version of the operator set of each domain; '' is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly graph: OnnxGraph;
}
