import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { invalidArgument } from '../../errors.js';
import { FlatSegment } from '../../flat/segment.js';
import type { Matrix } from '../../matrix.js';
import { ColumnBuilder, toJson } from '../columns.js';
import { origin, type Row } from '../segment.js';
import type { RetrieverMetric } from '../types.js';
import { disk, writeError, writeWhole } from './disk.js';
import { IdTable, idKey } from './id-table.js';
import { segmentPaths, type SegmentEntry } from './manifest.js';
import { encodeSections, headerBytes } from './sections.js';

/** Bytes of prepared codes under one checksum. */
export const codesChunkBytes = 1 << 20;
/** Bytes that are summed up before others have their turn. */
const yieldBytes = 1 << 24;
/** A segment with more than either is full: the next rows begin another one. */
const fullRows = 1 << 18;
const fullDocumentBytes = 1 << 30;

/** The first 64 bytes of a file of vectors; rows of float32, little-endian, follow. */
export function vectorsHeader(segment: string, dimension: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.write('FLATVECS', 0, 'latin1');
  header.writeUInt32LE(1, 8);
  header.writeUInt32LE(dimension, 12);
  header.write(segment, 16, 'latin1');
  return header;
}

/** What vectors are, and how they are compared. */
export interface VectorSpace {
  readonly dimension: number;
  readonly metric: RetrieverMetric;
}

/** The values of a field of metadata, and the rows that have it. */
interface Field {
  readonly builder: ColumnBuilder;
  readonly rows: number[];
  readonly codes: number[];
}

/**
 * Writes the files of one segment, window after window; only what is said of the rows, not the rows, is held in memory.
 * Nothing names the files until a manifest does.
 */
export class SegmentWriter<M> {
  readonly name: string;
  readonly ids = new IdTable();
  readonly #directory: string;
  readonly #dimension: number;
  readonly #metric: RetrieverMetric;
  readonly #vectors: FileHandle;
  readonly #documents: FileHandle;
  readonly #sums: number[] = [];
  readonly #offsets: number[] = [0];
  readonly #lines: number[] = [];
  readonly #fields = new Map<string, Field>();

  private constructor(directory: string, name: string, space: VectorSpace, files: [FileHandle, FileHandle]) {
    this.#directory = directory;
    this.name = name;
    this.#dimension = space.dimension;
    this.#metric = space.metric;
    [this.#vectors, this.#documents] = files;
  }

  static async create<M>(directory: string, generation: number, space: VectorSpace): Promise<SegmentWriter<M>> {
    const name = `s${generation}-${randomBytes(4).toString('hex')}`;
    const [vectors, documents] = segmentPaths(directory, name);
    const opened: FileHandle[] = [];
    try {
      for (const path of [vectors, documents]) opened.push(await disk.create(path));
      await disk.write(opened[0]!, vectorsHeader(name, space.dimension));
      return new SegmentWriter(directory, name, space, opened as [FileHandle, FileHandle]);
    } catch (error) {
      await discard(directory, name, opened);
      throw writeError(vectors, error);
    }
  }

  get rows(): number {
    return this.#lines.length;
  }

  get full(): boolean {
    return this.rows >= fullRows || this.#offsets.at(-1)! >= fullDocumentBytes;
  }

  /** Writes rows and their vectors (n, dimension). */
  async append(rows: readonly Row<M>[], vectors: Matrix): Promise<void> {
    const lines = rows.map((row) => this.#enter(row));
    this.#sum(vectors);
    const { buffer, byteOffset, byteLength } = vectors.data;
    await this.#writing(disk.write(this.#vectors, new Uint8Array(buffer, byteOffset, byteLength)));
    await this.#writing(disk.write(this.#documents, Buffer.concat(lines)));
  }

  /** Brings everything to the disk and says how it is to be found. */
  async finish(): Promise<SegmentEntry> {
    for (const file of [this.#vectors, this.#documents]) {
      await this.#writing(disk.sync(file));
      await file.close();
    }
    const [, , index] = segmentPaths(this.#directory, this.name);
    const { files, sections } = await this.#prepare();
    const { chunks, bytes, checksum } = encodeSections(this.name, 'index', {
      ...(await this.#sections()),
      ...sections,
    });
    await this.#writing(writeWhole(index, chunks));
    return {
      name: this.name,
      rows: this.rows,
      vectors: headerBytes + 4 * this.#dimension * this.rows,
      documents: this.#offsets.at(-1)!,
      index: { bytes, checksum },
      ...files,
    };
  }

  /** Removes what was written. */
  async discard(): Promise<void> {
    await discard(this.#directory, this.name, [this.#vectors, this.#documents]);
  }

  async #writing<T>(work: Promise<T>): Promise<T> {
    return work.catch((error: unknown) => {
      throw writeError(join(this.#directory, this.name), error);
    });
  }

  /** The row's line, entered into everything that is said of rows. */
  #enter(row: Row<M>): Buffer {
    const { id, text, metadata, passage } = row;
    const name = `metadata of document ${JSON.stringify(id)}`;
    const json = toJson(metadata, name) ?? 'null';
    const rest = (passage ? `,"passage":${JSON.stringify(passage)}` : '') + originOf(row);
    const line = Buffer.from(`{"id":${JSON.stringify(id)},"text":${JSON.stringify(text)},"metadata":${json}${rest}}\n`);
    const fields = JSON.parse(json) as unknown;
    if (typeof fields !== 'object' || fields === null) throw invalidArgument(name, 'an object in JSON', fields);
    for (const [field, value] of Object.entries(fields)) this.#enterField(field, value);
    this.ids.push(idKey(id));
    this.#lines.push(crc32(line));
    this.#offsets.push(this.#offsets.at(-1)! + line.length);
    return line;
  }

  #enterField(name: string, value: unknown): void {
    let field = this.#fields.get(name);
    if (!field) this.#fields.set(name, (field = { builder: new ColumnBuilder(), rows: [], codes: [] }));
    field.rows.push(this.rows);
    field.codes.push(field.builder.codeOf(value));
  }

  /** The checksums of rows. */
  #sum({ data, rows }: Matrix): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const rowBytes = 4 * this.#dimension;
    for (let row = 0; row < rows; row++) this.#sums.push(crc32(bytes.subarray(row * rowBytes, (row + 1) * rowBytes)));
  }

  /**
   * Writes what a search works out about vectors, so that a store is searched without reading them all first: the bytes of
   * the files, where there are any, and their checksums.
   */
  async #prepare(): Promise<{ files: Pick<SegmentEntry, 'codes' | 'codeRows'>; sections: Record<string, Uint8Array> }> {
    const [vectors, , , codesPath, codeRowsPath] = segmentPaths(this.#directory, this.name);
    const flat = new FlatSegment(this.#dimension, this.#metric === 'l2' ? 'l2' : 'ip');
    try {
      flat.map(vectors, headerBytes, this.rows);
      await flat.commit(undefined);
      const codes = await flat.prepared();
      if (codes.length === 0) return { files: {}, sections: {} };
      await this.#writing(writeWhole(codesPath, [codes]));
      const codeRows = await flat.codeRows();
      await this.#writing(writeWhole(codeRowsPath, [codeRows]));
      return {
        files: { codes: codes.length, codeRows: codeRows.length },
        sections: {
          codes: await checksums(codes, codesChunkBytes),
          coderows: await checksums(codeRows, flat.codeRowBytes),
        },
      };
    } finally {
      flat.dispose();
    }
  }

  async #sections(): Promise<Record<string, Uint8Array>> {
    const sections: Record<string, Uint8Array> = {
      vectors: bytesOf(Uint32Array.from(this.#sums)),
      offsets: bytesOf(Float64Array.from(this.#offsets)),
      lines: bytesOf(Uint32Array.from(this.#lines)),
      ids: bytesOf(this.ids.keys),
    };
    for (const [name, { builder, rows, codes }] of this.#fields) {
      await nextTurn();
      sections[`values ${name}`] = Buffer.from(JSON.stringify(builder.values));
      sections[`codes ${name}`] = bytesOf(Uint32Array.from(codes));
      if (rows.length < this.rows) sections[`rows ${name}`] = bytesOf(Uint32Array.from(rows));
    }
    return sections;
  }
}

/** The CRC-32 of each `size` bytes. */
async function checksums(bytes: Uint8Array, size: number): Promise<Uint8Array> {
  const sums = new Uint32Array(Math.ceil(bytes.length / size));
  for (let i = 0; i < sums.length; i++) {
    sums[i] = crc32(bytes.subarray(i * size, (i + 1) * size));
    if (((i + 1) * size) % yieldBytes < size) await nextTurn();
  }
  return bytesOf(sums);
}

function originOf(row: Row<unknown>): string {
  return row[origin] === undefined ? '' : `,"origin":${JSON.stringify(row[origin])}`;
}

async function discard(directory: string, name: string, files: readonly FileHandle[]): Promise<void> {
  for (const file of files) await file.close().catch(() => undefined);
  for (const path of segmentPaths(directory, name)) await disk.remove(path).catch(() => undefined);
}

function bytesOf(array: Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
