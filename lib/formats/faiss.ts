/**
 * The header of faiss's flat index files (faiss/impl/index_write.cpp): `IxF2` for squared L2 and `IxFI` for inner
 * product, all fields little-endian, then the rows as 32-bit floats, row-major, to the file's end.
 */
import { FlatrankError } from '../errors.js';

/** Bytes before the first row. */
export const faissHeaderBytes = 45;

/** What a flat index file's header says. */
export interface FaissFlatHeader {
  readonly metric: 'l2' | 'ip';
  readonly dimension: number;
  readonly rows: number;
}

/** A 64-bit field that faiss always fills with this and never reads. */
const dummy = 1n << 20n;
const kinds = {
  l2: { fourcc: 'IxF2', metricType: 1 },
  ip: { fourcc: 'IxFI', metricType: 0 },
} as const;

/** The 45 bytes that stand before the rows. */
export function encodeFaissFlatHeader({ metric, dimension, rows }: FaissFlatHeader): Buffer {
  const bytes = Buffer.alloc(faissHeaderBytes);
  bytes.write(kinds[metric].fourcc, 0, 'latin1');
  bytes.writeInt32LE(dimension, 4);
  bytes.writeBigInt64LE(BigInt(rows), 8);
  bytes.writeBigInt64LE(dummy, 16);
  bytes.writeBigInt64LE(dummy, 24);
  bytes.writeUInt8(1, 32); // is_trained
  bytes.writeInt32LE(kinds[metric].metricType, 33);
  bytes.writeBigUInt64LE(BigInt(rows) * BigInt(dimension), 37);
  return bytes;
}

/**
 * Reads a header and holds it against the file it is of.
 * @param bytes the file's first 45 bytes, or all it has
 * @param size of the whole file
 * @throws FlatrankError `ERR_BAD_FILE` where it is no flat index, or its size is not what the header says
 */
export function decodeFaissFlatHeader(path: string, bytes: Buffer, size: number): FaissFlatHeader {
  const bad = (what: string): FlatrankError =>
    new FlatrankError('ERR_BAD_FILE', `Expected ${path} to be a flat index file of faiss but it ${what}`);
  const fourcc = bytes.toString('latin1', 0, 4);
  const metric = fourcc === kinds.l2.fourcc ? 'l2' : fourcc === kinds.ip.fourcc ? 'ip' : undefined;
  if (metric === undefined) throw bad(`begins with ${JSON.stringify(fourcc)} instead of "IxF2" or "IxFI"`);
  if (bytes.length < faissHeaderBytes) throw bad('ends within its header');
  const dimension = bytes.readInt32LE(4);
  const rows = bytes.readBigInt64LE(8);
  const metricType = bytes.readInt32LE(33);
  const values = bytes.readBigUInt64LE(37);
  if (metricType !== kinds[metric].metricType) throw bad(`names metric ${metricType}, which ${fourcc} is not`);
  if (dimension <= 0 || rows < 0n || values !== rows * BigInt(dimension))
    throw bad(`names ${rows} rows of ${dimension} values and ${values} values in all`);
  if (BigInt(size) !== BigInt(faissHeaderBytes) + 4n * values)
    throw bad(`has ${size} bytes where ${rows} rows of ${dimension} values take ${45n + 4n * values}`);
  return { metric, dimension, rows: Number(rows) };
}
