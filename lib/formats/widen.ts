/** Values of narrower floating-point types as 32-bit ones. Exact: every one of them has its 32-bit value. */

/** Types that {@link widen} takes: IEEE 754 single and half, and bfloat16. */
export type FloatType = 'F32' | 'F16' | 'BF16';

/** The values whose little-endian bytes these are. F32 is a view of `bytes`, which must begin its buffer. */
export function widen(type: FloatType, bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  if (type === 'F32') return new Float32Array(bytes.buffer, 0, bytes.length / 4);
  const bits = new Uint16Array(bytes.buffer, 0, bytes.length / 2);
  const values = new Float32Array(bits.length);
  if (type === 'BF16') {
    const words = new Uint32Array(values.buffer);
    for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  } else {
    halves ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfToFloat(half));
    for (let i = 0; i < bits.length; i++) values[i] = halves[bits[i]!]!;
  }
  return values;
}

/** The value of every half, by its bits. */
let halves: Float32Array | undefined;

/** The 32-bit value of a 16-bit IEEE 754 half, given as its bits. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
