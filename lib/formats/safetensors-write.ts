/** Writing of safetensors files, as the format's own writer lays them out. */
import { open, rename, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { FlatrankError, invalidArgument } from '../errors.js';
import { elementBytes, tensorBytes, type TensorType } from './safetensors.js';

/** A tensor to write: its type, shape, and bytes (little-endian, row-major). */
export interface TensorData {
  readonly dtype: TensorType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** transformers refuses a file that does not say which framework's layout it has. */
const defaultMetadata = { format: 'pt' };

/**
 * Writes `tensors` to `path`, types of larger elements first and then by name, so that every tensor is aligned to its
 * element. The file appears whole or not at all: it is written beside its place, synced, and renamed.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where a tensor's bytes do not fit its type and shape, `ERR_NOT_FOUND` where
 *   the file cannot be written
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = defaultMetadata,
): Promise<void> {
  const ordered = [...tensors].sort(
    ([nameA, a], [nameB, b]) => elementBytes[b.dtype] - elementBytes[a.dtype] || (nameA < nameB ? -1 : 1),
  );
  const header = headerOf(ordered, metadata);
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(header);
      for (const [, { data }] of ordered) await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FlatrankError('ERR_NOT_FOUND', `Expected ${path} to be writable but: ${reason}`, { cause });
  }
}

/** The header with its length before it, padded with spaces so that the tensors begin at a multiple of eight bytes. */
function headerOf(tensors: readonly (readonly [string, TensorData])[], metadata: Record<string, string>): Buffer {
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  let at = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    if (name === '__metadata__') throw invalidArgument('tensors', "names other than '__metadata__'", name);
    if (!Object.hasOwn(elementBytes, dtype) || tensorBytes(dtype, shape) !== data.byteLength)
      throw new FlatrankError(
        'ERR_INVALID_ARGUMENT',
        `Expected the bytes of \`${name}\` to fit ${dtype} (${shape.join(', ')}) but received ${data.byteLength}`,
      );
    entries.push([name, { dtype, shape, data_offsets: [at, at + data.byteLength] }]);
    at += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return header;
}
