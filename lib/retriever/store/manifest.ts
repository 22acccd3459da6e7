/** The one file that says what a store holds, and how it is replaced. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { FlatrankError } from '../../errors.js';
import { damaged, disk, isSystemError, readError, writeError, writeWhole } from './disk.js';

export const manifestName = 'manifest.json';
const temporaryName = `${manifestName}.tmp`;
const version = 1;
/** A larger one is not read: a million segments have less. */
const mostBytes = 1 << 28;

const count = z.int().nonnegative();
const fileName = z.string().regex(/^s\d+-[0-9a-f]{8}\.removed-\d+$/);
const sectionsFile = z.object({ bytes: count, checksum: count });

const segmentSchema = z.object({
  /** The stem of its files' names. */
  name: z.string().regex(/^s\d+-[0-9a-f]{8}$/),
  rows: z.int().positive(),
  /** Bytes of its files, and the checksum of the one that has those of the others. */
  vectors: count,
  documents: count,
  index: sectionsFile,
  /** Bytes of what a search works out about its vectors, where that has a file. */
  codes: count.optional(),
  /** Bytes of the codes among that once more, row by row. */
  codeRows: count.optional(),
  /** The rows that were removed since, where any were. */
  removed: sectionsFile.extend({ file: fileName, rows: z.int().positive() }).optional(),
});

const modelSchema = z.object({
  /** What the encoder says it is; null for one that cannot tell. */
  fingerprint: z.string().nullable(),
  /** Where it was loaded from and how, for whoever opens the store without one. */
  source: z
    .object({
      model: z.string(),
      revision: z.string().optional(),
      precision: z.enum(['float32', 'int8']).optional(),
      pooling: z.enum(['mean', 'cls', 'max', 'mean_sqrt_len']).optional(),
      maxSeqLength: z.int().positive().optional(),
    })
    .nullable(),
});

const manifestSchema = z.object({
  format: z.literal('flatrank-store'),
  version: z.literal(version),
  /** Counts the changes. */
  generation: z.int().positive(),
  created: z.string(),
  changed: z.string(),
  metric: z.enum(['cosine', 'dot', 'l2']),
  dimension: z.int().positive().max(65536),
  model: modelSchema,
  /** Documents that are there. */
  documents: count,
  /** Documents that ever were: ids are made from it. */
  numbered: count,
  segments: z.array(segmentSchema),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type SegmentEntry = z.infer<typeof segmentSchema>;
export type StoredModel = z.infer<typeof modelSchema>;

/** What a new store begins with. */
export function emptyManifest(meta: Pick<Manifest, 'metric' | 'dimension' | 'model'>): Manifest {
  const now = new Date().toISOString();
  const counts = { generation: 1, documents: 0, numbered: 0, segments: [] };
  return { format: 'flatrank-store', version, created: now, changed: now, ...meta, ...counts };
}

/** Whether there is a store in this directory. */
export function isStore(directory: string): Promise<boolean> {
  return disk.exists(join(directory, manifestName));
}

/**
 * The manifest of a store, checked.
 * @throws FlatrankError `ERR_NOT_FOUND` where there is no store, `ERR_BAD_FILE`, `ERR_UNSUPPORTED` for a later format
 */
export async function readManifest(directory: string): Promise<Manifest> {
  const path = join(directory, manifestName);
  const bytes = await disk.read(path).catch((error: unknown) => {
    if (isSystemError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      throw new FlatrankError('ERR_NOT_FOUND', `Expected ${directory} to be a store but it has no ${manifestName}`);
    throw readError(path, error);
  });
  if (bytes.length > mostBytes) throw damaged(path, `have at most ${mostBytes} bytes`, `${bytes.length}`);
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw damaged(path, 'be JSON', 'other text', cause);
  }
  if (typeof json !== 'object' || json === null) throw damaged(path, 'describe a store', 'other JSON');
  const { checksum, ...content } = json as Record<string, unknown>;
  if (content['format'] !== 'flatrank-store') throw damaged(path, 'describe a store', 'other JSON');
  if (content['version'] !== version && Number.isInteger(content['version']))
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected ${path} to have format ${version} but received ${String(content['version'])}, of another flatrank`,
    );
  if (checksum !== checksumOf(content)) throw damaged(path, 'match its own checksum', 'other content');
  const checked = manifestSchema.safeParse(content);
  if (!checked.success) throw damaged(path, 'describe a store', z.prettifyError(checked.error));
  return checked.data;
}

/** A change that failed and could not be taken back either: what the disk holds is not known. */
export class Unsettled extends FlatrankError {}

/**
 * Makes `next` the manifest of the store, at once and for good: written beside the old one, brought to the disk together
 * with the names of new files, renamed, and the name brought to the disk. Where it rejects the old one is there.
 * @throws Unsettled where even that could not be had
 */
export async function replaceManifest(
  directory: string,
  next: Manifest,
  previous: Manifest | undefined,
): Promise<void> {
  const path = join(directory, manifestName);
  try {
    await place(directory, next);
    try {
      await disk.syncDirectory(directory);
    } catch (error) {
      await (previous ? place(directory, previous) : disk.remove(path)).catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Unsettled(
          'ERR_IO',
          `Expected ${path} to be brought to the disk, or to be put back, but: ${reason}. Open the store anew`,
          { cause: error },
        );
      });
      throw error;
    }
  } catch (error) {
    throw writeError(path, error);
  }
}

async function place(directory: string, manifest: Manifest): Promise<void> {
  const temporary = join(directory, temporaryName);
  const text = JSON.stringify({ ...manifest, checksum: checksumOf(manifest) }, null, 1);
  await disk.remove(temporary); // a killed writer's
  await writeWhole(temporary, [Buffer.from(`${text}\n`)]);
  try {
    await disk.syncDirectory(directory);
    await disk.rename(temporary, join(directory, manifestName));
  } catch (error) {
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
}

function checksumOf(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

/**
 * Removes files that a store may have and this manifest does not name: left by a killed writer, or from before a change.
 * They are in nobody's way, so what cannot be removed stays for the next time.
 */
export async function removeStrayFiles(directory: string, manifest: Manifest): Promise<void> {
  const named = new Set(manifest.segments.flatMap(({ name, removed }) => [...segmentFiles(name), removed?.file]));
  const ours = /^s\d+-[0-9a-f]{8}\.(vectors|jsonl|index|codes|coderows|removed-\d+)$/;
  for (const name of await disk.list(directory).catch(() => []))
    if (name === temporaryName || (ours.test(name) && !named.has(name)))
      await disk.remove(join(directory, name)).catch(() => undefined);
}

/** The files that a segment may have: vectors, documents, what is said of both, and codes, twice. */
export function segmentFiles(
  name: string,
): [vectors: string, documents: string, index: string, codes: string, codeRows: string] {
  return [`${name}.vectors`, `${name}.jsonl`, `${name}.index`, `${name}.codes`, `${name}.coderows`];
}

/** Where they are. */
export function segmentPaths(directory: string, name: string): ReturnType<typeof segmentFiles> {
  return segmentFiles(name).map((file) => join(directory, file)) as ReturnType<typeof segmentFiles>;
}
