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

/** Takes values off the front of `bytes`; every length is held against what is left. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** A signed 64-bit integer: seven bits a byte, ten bytes at most. */
  varint(): bigint {
    let low = 0; // the first four bytes come without a bigint
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw new MalformedProtobuf('a number is longer than ten bytes');
  }

  take(length: number): Uint8Array {
    if (!(length >= 0 && length <= this.#bytes.length - this.#at))
      throw new MalformedProtobuf(`a field of ${length} bytes is longer than the file`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new MalformedProtobuf('it ends inside a number');
    return byte;
  }
}

const nothing = new Uint8Array(0);

/**
 * The fields of a message in their order.
 * @throws MalformedProtobuf where the bytes are no message
 */
export function* fieldsOf(message: Uint8Array): Generator<Field, void, undefined> {
  const cursor = new Cursor(message);
  while (!cursor.done) {
    const key = Number(BigInt.asUintN(64, cursor.varint()));
    const number = Math.floor(key / 8);
    const type = key % 8;
    if (number < 1 || number > 0x1fffffff) throw new MalformedProtobuf('a field has no valid number');
    if (type === wire.varint) yield { number, type, bytes: nothing, varint: cursor.varint() };
    else if (type === wire.fixed64) yield { number, type, bytes: cursor.take(8), varint: 0n };
    else if (type === wire.fixed32) yield { number, type, bytes: cursor.take(4), varint: 0n };
    else if (type === wire.bytes) yield { number, type, bytes: cursor.take(Number(cursor.varint())), varint: 0n };
    else throw new MalformedProtobuf(`a field has the unknown wire type ${type}`);
  }
}

/** The numbers of a repeated varint field, packed or not. */
export function varintsOf(field: Field): bigint[] {
  if (field.type === wire.varint) return [field.varint];
  const values: bigint[] = [];
  for (const cursor = new Cursor(expectBytes(field).bytes); !cursor.done;) values.push(cursor.varint());
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
