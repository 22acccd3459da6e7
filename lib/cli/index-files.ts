/** Keeping a store in step with files: what changed is encoded, what vanished is removed. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { FlatrankError, describe } from '../errors.js';
import { collectionOf } from '../retriever/collection.js';
import type { Retriever, RetrieverAddOptions } from '../retriever/index.js';
import { liveRows } from '../retriever/live-rows.js';
import { holding, origin, type Origin, type Snapshot } from '../retriever/segment.js';
import type { FileDocument } from '../data/index.js';
import type { KnownVectors } from './known-vectors.js';

/** Documents that go into the store at once: an interrupted run goes on behind the last of these. */
const stepDocuments = 1024;

/** What {@link indexFiles} did. */
export interface Indexed {
  /** Documents that the files have: encoded, moved or unchanged. */
  documents: number;
  /** Of them, those that were new or had changed. */
  encoded: number;
  /** Those whose text was in the store, under another id, of another file or with other metadata. */
  moved: number;
  unchanged: number;
  /** Documents that were in the store and are not in the files any more. */
  removed: number;
  /** Documents longer than the model reads, of those encoded. */
  truncated: number;
}

interface Options extends Pick<RetrieverAddOptions, 'split' | 'onProgress' | 'signal'> {
  /** The documents of a file. */
  read: (file: string) => AsyncIterable<FileDocument>;
  /** Told of the vectors that are there; the Retriever's encoder. */
  vectors: KnownVectors;
}

/** A store that may still have to be made. */
export interface Store {
  /** Where it was there before. */
  readonly existing: Retriever | undefined;
  /** The store, which is made where it is not there: once there is something to put in. */
  readonly open: () => Promise<Retriever>;
}

/**
 * Makes the documents that the store has of these files the ones that the files have. Documents of other files stay.
 * @throws FlatrankError `ERR_DUPLICATE_ID` where two files, or two lines, give one id, or a file gives one that a document of
 *   another file has
 */
export async function indexFiles(store: Store, files: readonly string[], options: Options): Promise<Indexed> {
  const { existing } = store;
  if (!existing)
    return bringUpToDate(store, files, { documents: new Map(), texts: new Set(), others: new Map() }, options);
  // Vectors are taken from what the store is now, whatever becomes of it meanwhile.
  return holding(existing[collectionOf].snapshot, async (snapshot) => {
    const known = await knownDocuments(snapshot, new Set(files), options.vectors);
    return bringUpToDate(store, files, known, options);
  });
}

async function bringUpToDate(
  store: Store,
  files: readonly string[],
  known: Known,
  { read, split, onProgress, signal }: Options,
): Promise<Indexed> {
  const result: Indexed = { documents: 0, encoded: 0, moved: 0, unchanged: 0, removed: 0, truncated: 0 };
  const seen = new Set<string>();
  let changed: FileDocument[] = [];
  let put = 0;
  const putChanged = async (): Promise<void> => {
    const { truncated } = await (
      await store.open()
    ).add(changed, {
      onDuplicate: 'replace',
      onProgress: ({ done }) => onProgress?.({ done: put + done, total: undefined }),
      ...(split ? { split } : {}),
      ...(signal ? { signal } : {}),
    });
    put += changed.length;
    result.truncated += truncated;
    changed = [];
  };
  for (const file of files)
    for await (const document of read(file)) {
      signal?.throwIfAborted();
      if (seen.has(document.id))
        throw new FlatrankError(
          'ERR_DUPLICATE_ID',
          `Expected every document to have its own id but ${describe(document.id)} comes again in ${file}`,
        );
      seen.add(document.id);
      // One whose file is gone has moved here.
      const other = known.others.get(document.id);
      if (other !== undefined && existsSync(other))
        throw new FlatrankError(
          'ERR_DUPLICATE_ID',
          `Expected every document to have its own id but ${describe(document.id)} of ${file} is that of a document of ${other}`,
        );
      result.documents++;
      const text = hashOf([document.text, split]);
      const content = `${text}.${hashOf(document.metadata)}`;
      if (known.documents.get(document.id) === `${file}\n${content}`) {
        result.unchanged++;
        continue;
      }
      if (known.texts.has(text)) result.moved++;
      else result.encoded++;
      changed.push(withOrigin(document, { file, content }));
      if (changed.length >= stepDocuments) await putChanged();
    }
  if (changed.length > 0) await putChanged();
  const vanished = [...known.documents.keys()].filter((id) => !seen.has(id));
  const retriever = await store.open();
  if (vanished.length > 0) result.removed = (await retriever.remove(vanished, signal ? { signal } : {})).removed;
  return result;
}

/** What a store has. */
interface Known {
  /** Of the files: file and content by id. */
  readonly documents: Map<string, string>;
  /** Hashes of all texts that came from files. */
  readonly texts: Set<string>;
  /** Of other files: file by id. */
  readonly others: Map<string, string>;
}

async function knownDocuments(
  snapshot: Snapshot<unknown>,
  files: ReadonlySet<string>,
  vectors: KnownVectors,
): Promise<Known> {
  const documents = new Map<string, string>();
  const texts = new Set<string>();
  const others = new Map<string, string>();
  for await (const { segment, rows, numbers } of liveRows(snapshot))
    for (const [i, { id, text, [origin]: from }] of rows.entries()) {
      vectors.learn(text, { segment, row: numbers[i]! });
      if (!from) continue;
      texts.add(from.content.split('.')[0]!);
      if (files.has(from.file)) documents.set(id, `${from.file}\n${from.content}`);
      else others.set(id, from.file);
    }
  return { documents, texts, others };
}

/** 128 bits of a hash of something that is written as JSON. */
function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}

function withOrigin(document: FileDocument, from: Origin): FileDocument {
  return Object.assign(document, { [origin]: from });
}
