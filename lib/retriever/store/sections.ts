/**
 * A file of named sections: a header, a directory in JSON, then the sections, each 64-byte aligned and with a checksum of
 * its own, so that each is read, and checked, when it is needed.
 *
 *   0  magic 'FLATRANK'   8  uint32 version   12  uint32 bytes of the directory   16  uint32 CRC-32 of the directory
 *  64  directory: { "segment": name, "kind": kind, "sections": { name: [offset, bytes, CRC-32] } }
 *
 * Numbers are little-endian; CRC-32 is zlib's.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { damaged, disk, readError, readExactly } from './disk.js';

const magic = Buffer.from('FLATRANK');
const version = 1;
export const headerBytes = 64;

const count = z.int().nonnegative();
const directorySchema = z.object({
  segment: z.string(),
  kind: z.string(),
  sections: z.record(z.string(), z.tuple([count, count, count])),
});

export const align = (at: number): number => Math.ceil(at / headerBytes) * headerBytes;

/** The bytes of such a file, and the checksum that names them: of header and directory, which has those of all sections. */
export function encodeSections(
  segment: string,
  kind: string,
  sections: Readonly<Record<string, Uint8Array>>,
): { chunks: Uint8Array[]; bytes: number; checksum: number } {
  const entries = Object.entries(sections);
  // Offsets are counted from the end of the directory, whose length is not known before it is written.
  let end = 0;
  const places = entries.map(([name, bytes]) => {
    const offset = end;
    end = align(offset + bytes.byteLength);
    return [name, [offset, bytes.byteLength, crc32(bytes)]];
  });
  const directory = Buffer.from(JSON.stringify({ segment, kind, sections: Object.fromEntries(places) as object }));
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  header.writeUInt32LE(version, 8);
  header.writeUInt32LE(directory.length, 12);
  header.writeUInt32LE(crc32(directory), 16);
  const head = Buffer.concat([header, directory], align(headerBytes + directory.length));
  const chunks: Uint8Array[] = [head];
  for (const [, bytes] of entries) chunks.push(bytes, Buffer.alloc(align(bytes.byteLength) - bytes.byteLength));
  return { chunks, bytes: head.length + end, checksum: crc32(head) };
}

/** A file of sections, open for reading. */
export class SectionsFile {
  readonly #sections: Map<string, readonly [offset: number, bytes: number, checksum: number]>;

  private constructor(
    readonly path: string,
    readonly file: FileHandle,
    sections: z.infer<typeof directorySchema>['sections'],
    readonly start: number,
  ) {
    this.#sections = new Map(Object.entries(sections));
  }

  /**
   * Opens a file that has to be exactly the one that `expected` describes.
   * @throws FlatrankError `ERR_BAD_FILE`, `ERR_NOT_FOUND`
   */
  static async open(
    path: string,
    expected: { segment: string; kind: string; bytes: number; checksum: number },
  ): Promise<SectionsFile> {
    const file = await disk.openToRead(path).catch((error: unknown) => {
      throw readError(path, error);
    });
    try {
      const size = await disk.size(file);
      if (size !== expected.bytes) throw damaged(path, `have ${expected.bytes} bytes`, `${size}`);
      if (size < headerBytes) throw damaged(path, 'begin with a header', `${size} bytes`);
      const header = await readExactly(file, path, 0, headerBytes);
      if (!header.subarray(0, 8).equals(magic)) throw damaged(path, "begin with 'FLATRANK'", 'other bytes');
      const found = header.readUInt32LE(8);
      if (found !== version) throw damaged(path, `have format ${version}`, `${found}`);
      const length = header.readUInt32LE(12);
      if (align(headerBytes + length) > size)
        throw damaged(path, `hold a directory of ${length} bytes`, `${size} bytes`);
      const head = await readExactly(file, path, 0, align(headerBytes + length));
      if (crc32(head) !== expected.checksum)
        throw damaged(path, 'be the file that the manifest names', 'one with another checksum');
      const json: unknown = JSON.parse(head.toString('utf8', headerBytes, headerBytes + length));
      const directory = directorySchema.parse(json);
      if (directory.segment !== expected.segment || directory.kind !== expected.kind)
        throw damaged(path, `be of ${expected.segment}`, `one of ${directory.segment}`);
      for (const [name, [offset, bytes]] of Object.entries(directory.sections))
        if (head.length + offset + bytes > size) throw damaged(path, `hold the section ${name}`, `${size} bytes`);
      return new SectionsFile(path, file, directory.sections, head.length);
    } catch (error) {
      await file.close();
      throw error instanceof z.ZodError || error instanceof SyntaxError
        ? damaged(path, 'have a directory of sections', 'another form', error)
        : error;
    }
  }

  /** The bytes of a section, checked; undefined where there is none of that name. */
  async section(name: string): Promise<Buffer<ArrayBuffer> | undefined> {
    const place = this.#sections.get(name);
    if (!place) return undefined;
    const [offset, bytes, checksum] = place;
    const buffer = await readExactly(this.file, this.path, this.start + offset, bytes);
    if (crc32(buffer) !== checksum) throw damaged(this.path, `hold its section ${name} undamaged`, 'other bytes');
    return buffer;
  }

  /** A section that has to be there, with exactly `bytes` bytes, in memory aligned for any typed array. */
  async required(name: string, bytes: number): Promise<ArrayBuffer> {
    const buffer = await this.section(name);
    if (buffer?.byteLength !== bytes)
      throw damaged(this.path, `have ${bytes} bytes in its section ${name}`, String(buffer?.byteLength ?? 'none'));
    return buffer.buffer;
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
