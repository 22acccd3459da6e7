import { join } from 'node:path';
import { FlatrankError } from '../../errors.js';
import { type Bitmap, countBits } from '../bitmap.js';
import { damaged } from './disk.js';
import type { StoredPart } from './lookup.js';
import { type Manifest, readManifest, type SegmentEntry } from './manifest.js';
import { SectionsFile } from './sections.js';
import { StoredSegment } from './stored-segment.js';

/** How often a manifest is read again whose files were removed meanwhile: a writer had replaced it. */
const attempts = 8;

/**
 * Opens what a manifest names (the one of the directory unless given); segments that are open already are kept, with one
 * more user.
 */
export async function openParts<M>(
  directory: string,
  open: readonly StoredPart<M>[],
  given?: Manifest,
): Promise<{ manifest: Manifest; parts: StoredPart<M>[] }> {
  for (let attempt = 1; ; attempt++) {
    const manifest = given ?? (await readManifest(directory));
    const parts: StoredPart<M>[] = [];
    try {
      for (const entry of manifest.segments) parts.push(await openPart(directory, entry, manifest, open));
      return { manifest, parts };
    } catch (error) {
      for (const { segment } of parts) await segment.release();
      const gone = error instanceof FlatrankError && error.code === 'ERR_NOT_FOUND';
      if (!gone || given) throw error;
      if (attempt < attempts && (await readManifest(directory)).generation !== manifest.generation) continue;
      throw new FlatrankError('ERR_BAD_FILE', error.message, { cause: error });
    }
  }
}

async function openPart<M>(
  directory: string,
  entry: SegmentEntry,
  { dimension, metric }: Manifest,
  open: readonly StoredPart<M>[],
): Promise<StoredPart<M>> {
  const known = open.find(
    (part) => part.entry.name === entry.name && part.entry.index.checksum === entry.index.checksum,
  );
  const removed =
    known && known.entry.removed?.file === entry.removed?.file ? known.removed : await readRemoved(directory, entry);
  known?.segment.retain();
  const segment = known?.segment ?? (await StoredSegment.open<M>(directory, entry, dimension, metric));
  return { segment, entry, rows: entry.rows, removed };
}

/** The rows of a segment that were removed. */
async function readRemoved(directory: string, entry: SegmentEntry): Promise<Bitmap | undefined> {
  if (!entry.removed) return undefined;
  const { file: name, bytes, checksum, rows } = entry.removed;
  const path = join(directory, name);
  const file = await SectionsFile.open(path, { segment: entry.name, kind: 'removed', bytes, checksum });
  try {
    const bitmap = new Uint8Array(await file.required('rows', Math.ceil(entry.rows / 8)));
    if (countBits(bitmap) !== rows) throw damaged(path, `name ${rows} rows`, `${countBits(bitmap)}`);
    return bitmap;
  } finally {
    await file.close();
  }
}
