import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { FlatSegment } from '../../flat/segment.js';
import type { Matrix } from '../../matrix.js';
import type { Column } from '../columns.js';
import { Counted, type Row, type Segment } from '../segment.js';
import type { RetrieverMetric } from '../types.js';
import { damaged, disk, readError, readExactly } from './disk.js';
import { IdTable, idKeyWords } from './id-table.js';
import { segmentPaths, type SegmentEntry } from './manifest.js';
import { decodeRow } from './row-line.js';
import { headerBytes, SectionsFile } from './sections.js';
import { codesChunkBytes, vectorsHeader } from './segment-writer.js';

interface Files {
  vectors: FileHandle;
  documents: FileHandle;
  index: SectionsFile;
  codes: FileHandle | undefined;
  codeRows: FileHandle | undefined;
}

interface Paths {
  vectors: string;
  documents: string;
  codes: string;
  codeRows: string;
}

/** Where each row's line begins, and the end; the CRC-32 of each. */
interface LineIndex {
  readonly offsets: Float64Array;
  readonly checksums: Uint32Array;
}

/**
 * A segment on the disk. Opening it looks at sizes and headers only; vectors are mapped, and everything is held against its
 * checksum when it is first used.
 */
export class StoredSegment<M> extends Counted implements Segment<M> {
  readonly #entry: SegmentEntry;
  readonly #files: Files;
  readonly #paths: Paths;
  readonly #flat: FlatSegment;
  readonly #columns = new Map<string, Promise<Column | undefined>>();
  #lines: Promise<LineIndex> | undefined;
  #ids: Promise<IdTable> | undefined;
  #ready: Promise<FlatSegment> | undefined;

  private constructor(entry: SegmentEntry, files: Files, paths: Paths, flat: FlatSegment) {
    super();
    this.#entry = entry;
    this.#files = files;
    this.#paths = paths;
    this.#flat = flat;
  }

  /** @throws FlatrankError `ERR_BAD_FILE` or `ERR_NOT_FOUND` that names the file */
  static async open<M>(
    directory: string,
    entry: SegmentEntry,
    dimension: number,
    metric: RetrieverMetric,
  ): Promise<StoredSegment<M>> {
    const [vectors, documents, index, codes, codeRows] = segmentPaths(directory, entry.name);
    const opened: { close: () => unknown }[] = [];
    const open = async (path: string, bytes: number): Promise<FileHandle> => {
      const file = await disk.openToRead(path).catch((error: unknown) => {
        throw readError(path, error);
      });
      opened.push(file);
      const size = await disk.size(file);
      if (size !== bytes) throw damaged(path, `have ${bytes} bytes`, `${size}`);
      return file;
    };
    try {
      const vectorBytes = headerBytes + 4 * dimension * entry.rows;
      if (entry.vectors !== vectorBytes) throw damaged(vectors, `have ${vectorBytes} bytes`, `${entry.vectors}`);
      const vectorFile = await open(vectors, vectorBytes);
      const header = await readExactly(vectorFile, vectors, 0, headerBytes);
      if (!header.equals(vectorsHeader(entry.name, dimension)))
        throw damaged(vectors, `hold the vectors of ${entry.name}`, 'another header');
      const documentFile = await open(documents, entry.documents);
      const expected = { segment: entry.name, kind: 'index', ...entry.index };
      const sections = await SectionsFile.open(index, expected);
      opened.push(sections);
      const flat = new FlatSegment(dimension, metric === 'l2' ? 'l2' : 'ip');
      opened.push({
        close: () => {
          flat.dispose();
        },
      });
      const codesFile = entry.codes === undefined ? undefined : await open(codes, entry.codes);
      const codeRowsFile = entry.codeRows === undefined ? undefined : await open(codeRows, entry.codeRows);
      // The files are mapped now, as they can be removed behind our back; nothing of them is read.
      flat.map(vectors, headerBytes, entry.rows, codesFile && codes, codeRowsFile && codeRows);
      const files = {
        ...{ vectors: vectorFile, documents: documentFile, index: sections },
        ...{ codes: codesFile, codeRows: codeRowsFile },
      };
      return new StoredSegment(entry, files, { vectors, documents, codes, codeRows }, flat);
    } catch (error) {
      for (const file of opened) await file.close();
      throw error;
    }
  }

  async vectors(): Promise<FlatSegment> {
    this.#checkSizes();
    return (this.#ready ??= this.#prepare());
  }

  async get(rows: readonly number[]): Promise<Row<M>[]> {
    const index = await this.#lineIndex();
    const { offsets } = index;
    const lines = await Promise.all(
      rows.map((row) => {
        const start = offsets[row]!;
        return readExactly(this.#files.documents, this.#paths.documents, start, offsets[row + 1]! - start);
      }),
    );
    return lines.map((line, i) => this.#decode(rows[i]!, line, index));
  }

  async rows(begin: number, end: number): Promise<Row<M>[]> {
    const index = await this.#lineIndex();
    const { offsets } = index;
    const start = offsets[begin]!;
    const bytes = await readExactly(this.#files.documents, this.#paths.documents, start, offsets[end]! - start);
    const rows: Row<M>[] = [];
    for (let row = begin; row < end; row++)
      rows.push(this.#decode(row, bytes.subarray(offsets[row]! - start, offsets[row + 1]! - start), index));
    return rows;
  }

  async read(begin: number, end: number): Promise<Matrix> {
    return (await this.vectors()).read(begin, end);
  }

  column(field: string): Promise<Column | undefined> {
    let column = this.#columns.get(field);
    if (!column) this.#columns.set(field, (column = this.#readColumn(field)));
    return column;
  }

  /** The rows by the ids of their documents. */
  ids(): Promise<IdTable> {
    const bytes = 4 * idKeyWords * this.#entry.rows;
    return (this.#ids ??= this.#files.index
      .required('ids', bytes)
      .then((section) => IdTable.of(new Uint32Array(section))));
  }

  protected async close(): Promise<void> {
    this.#flat.dispose();
    for (const file of Object.values(this.#files) as Files[keyof Files][]) await file?.close();
  }

  /** Reading behind the end of a mapped file ends the process: one that was cut since it was opened is not read. */
  #checkSizes(): void {
    const { vectors, codes, codeRows } = this.#files;
    const check = (file: FileHandle, path: string, bytes: number): void => {
      const size = disk.sizeNow(file);
      if (size < bytes) throw damaged(path, `have ${bytes} bytes`, `${size}`);
    };
    check(vectors, this.#paths.vectors, this.#entry.vectors);
    if (codes) check(codes, this.#paths.codes, this.#entry.codes!);
    if (codeRows) check(codeRows, this.#paths.codeRows, this.#entry.codeRows!);
  }

  /** Checks the codes and has the rows checked when they are looked at; where there are no codes, that is now. */
  async #prepare(): Promise<FlatSegment> {
    const { index, codes, codeRows } = this.#files;
    const checksums = async (name: string, rows: number): Promise<Uint32Array> =>
      new Uint32Array(await index.required(name, 4 * rows));
    this.#flat.expect(
      await checksums('vectors', this.#entry.rows),
      codeRows && (await checksums('coderows', Math.floor(this.#entry.codeRows! / this.#flat.codeRowBytes))),
    );
    if (codes) await checkChunks(codes, this.#paths.codes, this.#entry.codes!, index);
    await this.#flat.commit(undefined);
    return this.#flat;
  }

  #lineIndex(): Promise<LineIndex> {
    return (this.#lines ??= this.#readLineIndex());
  }

  async #readLineIndex(): Promise<LineIndex> {
    const { rows, documents } = this.#entry;
    const { index } = this.#files;
    const offsets = new Float64Array(await index.required('offsets', 8 * (rows + 1)));
    const checksums = new Uint32Array(await index.required('lines', 4 * rows));
    for (let row = 0; row < rows; row++)
      if (!(offsets[row]! < offsets[row + 1]!))
        throw damaged(index.path, 'have ascending offsets', `others at row ${row}`);
    if (offsets[0] !== 0 || offsets[rows] !== documents)
      throw damaged(index.path, 'have offsets that fit the documents', 'others');
    return { offsets, checksums };
  }

  #decode(row: number, line: Buffer, { checksums }: LineIndex): Row<M> {
    if (crc32(line) !== checksums[row])
      throw damaged(this.#paths.documents, `hold row ${row} undamaged`, 'other bytes');
    return decodeRow(line, `${this.#paths.documents}:${row + 1}`);
  }

  async #readColumn(field: string): Promise<Column | undefined> {
    const { index } = this.#files;
    const json = await index.section(`values ${field}`);
    if (!json) return undefined;
    const values = parseArray(json, index.path);
    const rows = await index.section(`rows ${field}`);
    const of = rows ? rows.byteLength / 4 : this.#entry.rows;
    const codes = new Uint32Array(await index.required(`codes ${field}`, 4 * of));
    if (!rows) return { values, codes };
    const dense = new Uint32Array(this.#entry.rows);
    for (const [i, row] of new Uint32Array(rows.buffer).entries()) dense[row] = codes[i]!;
    return { values, codes: dense };
  }
}

function parseArray(json: Buffer, path: string): unknown[] {
  const values: unknown = JSON.parse(json.toString('utf8'));
  if (!Array.isArray(values)) throw damaged(path, 'hold an array of values', 'other JSON');
  return values;
}

/** Holds a file against the checksums of its chunks. */
async function checkChunks(file: FileHandle, path: string, bytes: number, index: SectionsFile): Promise<void> {
  const chunks = Math.ceil(bytes / codesChunkBytes);
  const checksums = new Uint32Array(await index.required('codes', 4 * chunks));
  for (const [i, checksum] of checksums.entries()) {
    const at = i * codesChunkBytes;
    const chunk = await readExactly(file, path, at, Math.min(codesChunkBytes, bytes - at));
    if (crc32(chunk) !== checksum) throw damaged(path, `be undamaged from byte ${at} on`, 'other bytes');
  }
}
