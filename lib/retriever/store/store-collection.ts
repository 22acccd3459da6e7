import { join } from 'node:path';
import { FlatrankError } from '../../errors.js';
import { type Bitmap, countBits } from '../bitmap.js';
import type { Addition, Collection } from '../collection.js';
import { liveRowsAndVectors } from '../live-rows.js';
import type { Snapshot } from '../segment.js';
import { disk, writeError, writeWhole } from './disk.js';
import { StoreLock } from './lock.js';
import { Lookup, type StoredPart } from './lookup.js';
import { type Manifest, removeStrayFiles, replaceManifest, type SegmentEntry, Unsettled } from './manifest.js';
import { mergeable } from './merge-policy.js';
import { openParts } from './open-parts.js';
import { encodeSections } from './sections.js';
import { SegmentWriter } from './segment-writer.js';
import { type NewSegment, StoreAddition } from './store-addition.js';

/**
 * Documents in a directory. Every change that resolved is on the disk, whole: new files are written and synced first, and
 * then the manifest that names them is replaced. A process that only searches takes no lock.
 */
export class StoreCollection<M> implements Collection<M> {
  readonly directory: string;
  readonly #readOnly: boolean;
  #manifest: Manifest;
  #parts: readonly StoredPart<M>[];
  #snapshot: Snapshot<M>;
  #lock: StoreLock | undefined;
  #broken: unknown;

  private constructor(directory: string, readOnly: boolean, manifest: Manifest, parts: readonly StoredPart<M>[]) {
    this.directory = directory;
    this.#readOnly = readOnly;
    this.#manifest = manifest;
    this.#parts = parts;
    this.#snapshot = { parts, documents: manifest.documents };
  }

  /** @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE`, `ERR_UNSUPPORTED` */
  static async open<M>(directory: string, readOnly: boolean): Promise<StoreCollection<M>> {
    const { manifest, parts } = await openParts<M>(directory, []);
    return new StoreCollection<M>(directory, readOnly, manifest, parts);
  }

  get snapshot(): Snapshot<M> {
    return this.#snapshot;
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  async begin(): Promise<Addition<M>> {
    await this.#startWriting();
    const lookup = await Lookup.open(this.#parts);
    return new StoreAddition<M>({
      lookup,
      firstNumber: this.#manifest.numbered,
      newWriter: () => this.#newWriter(),
      publish: async (segments, documents) => {
        await this.#publish(this.#parts, lookup.removed, segments, {
          documents: this.#manifest.documents + documents - lookup.count,
          numbered: this.#manifest.numbered + documents,
        });
        await this.#mergeTail();
      },
    });
  }

  async remove(ids: readonly string[], signal: AbortSignal | undefined): Promise<number> {
    await this.#startWriting();
    const lookup = await Lookup.open(this.#parts);
    for (const id of ids) lookup.remove(id);
    signal?.throwIfAborted();
    if (lookup.count > 0)
      await this.#publish(this.#parts, lookup.removed, [], { documents: this.#manifest.documents - lookup.count });
    return lookup.count;
  }

  async compact(signal: AbortSignal | undefined): Promise<void> {
    await this.#startWriting();
    if (this.#parts.length > 1 || this.#parts.some(({ removed }) => removed)) await this.#rewrite(0, signal);
  }

  /** Sees what was written by others since. @returns whether there was something */
  async refresh(): Promise<boolean> {
    const { manifest, parts } = await openParts<M>(this.directory, this.#parts);
    if (!sameKind(manifest, this.#manifest)) {
      for (const { segment } of parts) await segment.release();
      throw new FlatrankError(
        'ERR_MODEL_MISMATCH',
        `Expected ${this.directory} to be of the model and metric that it was opened with but it was replaced by ` +
          `another store (${manifest.model.fingerprint ?? 'no fingerprint'}, ${manifest.metric}). Open the store anew`,
      );
    }
    const changed = manifest.generation !== this.#manifest.generation || manifest.created !== this.#manifest.created;
    await this.#show(manifest, parts);
    return changed;
  }

  async dispose(): Promise<void> {
    for (const { segment } of this.#parts) await segment.release();
    await this.#lock?.release();
  }

  /** Takes the lock with the first change, and keeps it. */
  async #startWriting(): Promise<void> {
    if (this.#readOnly)
      throw new FlatrankError('ERR_UNSUPPORTED', `Expected ${this.directory} not to be opened with \`readOnly\``);
    if (this.#broken) throw this.#broken;
    if (this.#lock) return;
    const lock = await StoreLock.take(this.directory);
    try {
      await this.refresh();
      await removeStrayFiles(this.directory, this.#manifest);
    } catch (error) {
      await lock.release();
      throw writeError(this.directory, error);
    }
    this.#lock = lock;
  }

  #newWriter(): Promise<SegmentWriter<M>> {
    return SegmentWriter.create<M>(this.directory, this.#manifest.generation + 1, this.#manifest);
  }

  /** Many small segments at the end become one, so that adding documents one by one does not make thousands of files. */
  async #mergeTail(): Promise<void> {
    const first = mergeable(this.#parts.map(({ rows }) => rows));
    // What was added is there: that it could not be tidied up is nothing to whoever added it.
    if (first !== undefined) await this.#rewrite(first, undefined).catch(() => undefined);
  }

  /** Writes what is left of the segments from number `first` on anew. */
  async #rewrite(first: number, signal: AbortSignal | undefined): Promise<void> {
    const writers: SegmentWriter<M>[] = [];
    try {
      for await (const { rows, vectors } of liveRowsAndVectors({ parts: this.#parts.slice(first), documents: 0 })) {
        signal?.throwIfAborted();
        if (writers.at(-1)?.full !== false) writers.push(await this.#newWriter());
        await writers.at(-1)!.append(rows, vectors);
      }
      const segments: NewSegment[] = [];
      for (const writer of writers) segments.push({ entry: await writer.finish(), removed: undefined });
      signal?.throwIfAborted();
      await this.#publish(this.#parts.slice(0, first), new Map(), segments, {});
    } catch (error) {
      if (!(error instanceof Unsettled)) for (const writer of writers) await writer.discard();
      throw error;
    }
  }

  /** Makes the kept parts, with what they lose, and new segments the store; where it rejects the store is as before. */
  async #publish(
    kept: readonly StoredPart<M>[],
    removed: ReadonlyMap<StoredPart<M>, Bitmap>,
    segments: readonly NewSegment[],
    counts: Partial<Pick<Manifest, 'documents' | 'numbered'>>,
  ): Promise<void> {
    const before = this.#manifest;
    const generation = before.generation + 1;
    const written: string[] = [];
    const withRemoved = async (entry: SegmentEntry, rows: Bitmap | undefined): Promise<SegmentEntry> => {
      if (!rows) return entry;
      const file = `${entry.name}.removed-${generation}`;
      const { chunks, bytes, checksum } = encodeSections(entry.name, 'removed', { rows });
      await writeWhole(join(this.directory, file), chunks);
      written.push(file);
      return { ...entry, removed: { file, bytes, checksum, rows: countBits(rows) } };
    };
    try {
      const entries: SegmentEntry[] = [];
      for (const part of kept) {
        const rows = removed.get(part);
        if (rows && countBits(rows) === part.rows) continue; // nothing is left of it
        entries.push(await withRemoved(part.entry, rows));
      }
      for (const { entry, removed: rows } of segments) entries.push(await withRemoved(entry, rows));
      const manifest = { ...before, ...counts, generation, changed: new Date().toISOString(), segments: entries };
      // Opened before they are named: what cannot be read back is an error of the change, not of those who read later.
      const parts = (await openParts<M>(this.directory, this.#parts, manifest)).parts;
      try {
        await replaceManifest(this.directory, manifest, before);
      } catch (error) {
        for (const { segment } of parts) await segment.release();
        throw error;
      }
      await this.#show(manifest, parts);
    } catch (error) {
      // Where it is not known which manifest the disk holds, the files of both stay.
      if (error instanceof Unsettled) this.#broken = error;
      else for (const file of written) await disk.remove(join(this.directory, file)).catch(() => undefined);
      throw writeError(this.directory, error);
    }
    await removeStrayFiles(this.directory, this.#manifest);
  }

  async #show(manifest: Manifest, parts: readonly StoredPart<M>[]): Promise<void> {
    const old = this.#parts;
    this.#manifest = manifest;
    this.#parts = parts;
    this.#snapshot = { parts, documents: manifest.documents };
    for (const { segment } of old) await segment.release();
  }
}

/** Whether vectors of the one can stand beside those of the other. */
function sameKind(a: Manifest, b: Manifest): boolean {
  return a.model.fingerprint === b.model.fingerprint && a.dimension === b.dimension && a.metric === b.metric;
}
