/**
 * The protobuf wire format (https://protobuf.dev/programming-guides/encoding/), as far as ONNX uses it: varints, fixed 32 and
 * 64 bits, and length-delimited fields, whose bytes stay views of what was read.
 */
import { FlatrankError } from '../errors.js';

/** How a field's value is laid out. */
export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field of a message: its number, wire type, and its value as a view. */
export interface Field {
  readonly number: number;
  readonly type: number;
  /** The bytes of a length-delimited or fixed field; empty for a varint. */
  readonly bytes: Uint8Array;
  /** The value of a varint, as a signed 64-bit integer; 0n for other fields. */
  readonly varint: bigint;
}

/** A file that is not what it should be. */
export class MalformedProtobuf extends Error {}

/**
 * The fields of a message in their order. Every length is held against the bytes there are.
 * @throws MalformedProtobuf where the bytes are no message
 */
export function* fieldsOf(message: Uint8Array): Generator<Field, void, undefined> {
  let at = 0;
  const none = new Uint8Array(0);
  const varint = (): bigint => {
    // Seven bits a byte, ten bytes at most; the first four come without a bigint.
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) throw new MalformedProtobuf('it ends inside a number');
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw new MalformedProtobuf('it ends inside a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw new MalformedProtobuf('a number is longer than ten bytes');
  };
  const take = (length: number): Uint8Array => {
    if (!(length >= 0 && length <= message.length - at))
      throw new MalformedProtobuf(`a field of ${length} bytes is longer than the file`);
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const key = Number(BigInt.asUintN(64, varint()));
    const number = Math.floor(key / 8);
    const type = key % 8;
    if (number < 1 || number > 0x1fffffff) throw new MalformedProtobuf('a field has no valid number');
    if (type === wire.varint) yield { number, type, bytes: none, varint: varint() };
    else if (type === wire.fixed64) yield { number, type, bytes: take(8), varint: 0n };
    else if (type === wire.fixed32) yield { number, type, bytes: take(4), varint: 0n };
    else if (type === wire.bytes) yield { number, type, bytes: take(Number(varint())), varint: 0n };
    else throw new MalformedProtobuf(`a field has the unknown wire type ${type}`);
  }
}

/** The numbers of a repeated varint field, packed or not. */
export function varintsOf(field: Field): bigint[] {
  if (field.type === wire.varint) return [field.varint];
  const values: bigint[] = [];
  // A packed field is a message of bare varints: read each as the value of a field 1.
  const { bytes } = expectBytes(field);
  for (let at = 0; at < bytes.length;) {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63n) throw new MalformedProtobuf('a packed number is broken');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    values.push(BigInt.asIntN(64, value));
  }
  return values;
}

/** The field, checked to be length-delimited. */
export function expectBytes(field: Field): Field {
  if (field.type !== wire.bytes) throw new MalformedProtobuf(`field ${field.number} has the wrong wire type`);
  return field;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text of a length-delimited field. */
export function textOf(field: Field): string {
  try {
    return utf8.decode(expectBytes(field).bytes);
  } catch (error) {
    if (error instanceof MalformedProtobuf) throw error;
    throw new MalformedProtobuf(`field ${field.number} is not UTF-8`);
  }
}

/** Byte arrays of at least this length are kept as they are, not copied together. */
const largeBytes = 4096;

/** Writes messages as a list of byte chunks; large byte fields stay views of the caller's memory. */
export class ProtobufWriter {
  readonly #chunks: Uint8Array[] = [];
  #buffer = new Uint8Array(256);
  #used = 0;
  #length = 0;

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** What was written, in order. */
  chunks(): readonly Uint8Array[] {
    this.#flush();
    return this.#chunks;
  }

  /** A varint field; negative numbers take ten bytes, as in two's complement. */
  integer(number: number, value: number | bigint): void {
    this.#varint(number * 8 + wire.varint);
    this.#varint(value);
  }

  /** A 32-bit float field. */
  float(number: number, value: number): void {
    this.#varint(number * 8 + wire.fixed32);
    this.#raw(new Uint8Array(Float32Array.of(value).buffer));
  }

  /** A field of bytes. */
  bytes(number: number, value: Uint8Array): void {
    this.#varint(number * 8 + wire.bytes);
    this.#varint(value.length);
    this.#raw(value);
  }

  /** A field of text. */
  text(number: number, value: string): void {
    this.bytes(number, Buffer.from(value, 'utf8'));
  }

  /** A field that is a message, which `write` fills. */
  message(number: number, write: (writer: ProtobufWriter) => void): void {
    const inner = new ProtobufWriter();
    write(inner);
    this.#varint(number * 8 + wire.bytes);
    this.#varint(inner.length);
    for (const chunk of inner.chunks()) this.#raw(chunk);
  }

  #varint(value: number | bigint): void {
    const bytes: number[] = [];
    if (typeof value === 'number' && value >= 0) {
      if (!Number.isSafeInteger(value)) throw new FlatrankError('ERR_UNSUPPORTED', `Expected an integer, not ${value}`);
      for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
      bytes.push(value);
    } else {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
      bytes.push(Number(rest));
    }
    this.#raw(Uint8Array.from(bytes));
  }

  #raw(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (bytes.length >= largeBytes) {
      this.#flush();
      this.#chunks.push(bytes);
      return;
    }
    if (this.#used + bytes.length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#used + bytes.length));
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#chunks.push(this.#buffer.slice(0, this.#used));
    this.#used = 0;
  }
}
