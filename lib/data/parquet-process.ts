/** The process that decodes a Parquet file for `readParquet`: it answers each message with rows, until there are none. */
import { open } from 'node:fs/promises';
import { type AsyncBuffer, type Compressors, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { ParquetAnswer, ParquetJob } from './parquet.js';

/** Rows of one answer: bounds what crosses at a time. */
const windowRows = 1024;
/** No codec makes more than this out of a byte, so that a page header alone cannot make us allocate. */
const maxExpansion = 4096;

const { path, columns } = JSON.parse(process.argv[2]!) as ParquetJob;

const bounded = Object.fromEntries(
  Object.entries(compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (!(length >= 0 && length <= (input.length + 64) * maxExpansion))
        throw new Error(`a page of ${input.length} bytes cannot hold ${length}`);
      return length === 0 ? new Uint8Array(0) : decompress(input, length); // LZ4 would not take an empty page
    },
  ]),
) as Compressors;

async function* rowsOf(): AsyncGenerator<Record<string, unknown>[], void, undefined> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const file: AsyncBuffer = {
      byteLength: size,
      async slice(start, end = size) {
        if (!(start >= 0 && start <= end && end <= size)) throw new Error(`bytes ${start} to ${end} of ${size}`);
        const bytes = new Uint8Array(end - start);
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
        if (bytesRead !== bytes.length) throw new Error('the file became shorter');
        return bytes.buffer;
      },
    };
    const metadata = await parquetMetadataAsync(file);
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (!Number.isSafeInteger(rowEnd) || rowEnd < rowStart) throw new Error(`a group of ${group.num_rows} rows`);
      const selected = columns === undefined ? {} : { columns: [...columns] };
      const rows = await parquetReadObjects({
        file,
        metadata,
        compressors: bounded,
        rowStart,
        rowEnd,
        ...selected,
      });
      for (let at = 0; at < rows.length; at += windowRows) yield rows.slice(at, at + windowRows).map(plainRow);
      rowStart = rowEnd;
    }
  } finally {
    await handle.close();
  }
}

/** A row as JSON would have it: integers as numbers where they are exact, dates in ISO 8601, no undefined. */
function plainRow(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
    return plainRow(value as Record<string, unknown>);
  return value;
}

function answer(message: ParquetAnswer): void {
  process.send!(message);
}

const rows = rowsOf();
process.on('message', () => {
  rows.next().then(
    (result) => {
      answer(result.done ? { rows: undefined } : { rows: result.value });
    },
    (error: unknown) => {
      const { code, message } = error as NodeJS.ErrnoException;
      answer({ error: message ?? String(error), code });
    },
  );
});
