import { liveRowsAndVectors } from '../live-rows.js';
import type { Snapshot } from '../segment.js';
import { makeDirectory, writeError } from './disk.js';
import { StoreLock } from './lock.js';
import {
  emptyManifest,
  isStore,
  type Manifest,
  readManifest,
  removeStrayFiles,
  replaceManifest,
  Unsettled,
} from './manifest.js';
import { SegmentWriter } from './segment-writer.js';

/**
 * Writes a snapshot as a store, in place of one that is there: its files are removed behind the change, and those who
 * read it go on with them.
 * @throws FlatrankError `ERR_LOCKED`, `ERR_IO`, `ERR_BAD_FILE` where the store that is there is damaged
 */
export async function saveStore<M>(
  directory: string,
  snapshot: Snapshot<M>,
  meta: Pick<Manifest, 'metric' | 'dimension' | 'model'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await makeDirectory(directory).catch((error: unknown) => {
    throw writeError(directory, error);
  });
  const lock = await StoreLock.take(directory);
  const writers: SegmentWriter<M>[] = [];
  try {
    const previous = (await isStore(directory)) ? await readManifest(directory) : undefined;
    const fresh = emptyManifest(meta);
    const generation = (previous?.generation ?? 0) + 1;
    const segments: Manifest['segments'] = [];
    for await (const { rows, vectors } of liveRowsAndVectors(snapshot)) {
      signal?.throwIfAborted();
      if (writers.at(-1)?.full !== false) writers.push(await SegmentWriter.create<M>(directory, generation, meta));
      await writers.at(-1)!.append(rows, vectors);
    }
    for (const writer of writers) segments.push(await writer.finish());
    signal?.throwIfAborted();
    const { documents } = snapshot;
    const manifest = { ...fresh, generation, documents, numbered: documents, segments };
    await replaceManifest(directory, manifest, previous);
    await removeStrayFiles(directory, manifest);
  } catch (error) {
    if (!(error instanceof Unsettled)) for (const writer of writers) await writer.discard();
    throw writeError(directory, error);
  } finally {
    await lock.release();
  }
}
