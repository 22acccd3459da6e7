/** Keeping a store in step with files: what changed is encoded, what vanished is removed. */
import { createHash } from 'node:crypto';
import { FlatrankError, describe } from '../errors.js';
import { collectionOf } from '../retriever/collection.js';
import type { Retriever, RetrieverAddOptions } from '../retriever/index.js';
import { liveRows } from '../retriever/live-rows.js';
import { holding, origin, type Origin } from '../retriever/segment.js';
import type { FileDocument } from '../data/index.js';

/** Documents that go into the store at once: an interrupted run goes on behind the last of these. */
const stepDocuments = 2048;

/** What {@link indexFiles} did. */
export interface Indexed {
  /** Documents that the files have. */
  documents: number;
  /** Of them, those that were new or had changed. */
  encoded: number;
  unchanged: number;
  /** Documents that were in the store and are not in the files any more. */
  removed: number;
  /** Documents longer than the model reads, of those encoded. */
  truncated: number;
}

interface Options extends Pick<RetrieverAddOptions, 'split' | 'onProgress' | 'signal'> {
  /** The documents of a file. */
  read: (file: string) => AsyncIterable<FileDocument>;
}

/**
 * Makes the documents that the store has of these files the ones that the files have. Documents of other files stay.
 * @throws FlatrankError `ERR_DUPLICATE_ID` where two files, or two lines, give one id
 */
export async function indexFiles(
  retriever: Retriever,
  files: readonly string[],
  { read, split, onProgress, signal }: Options,
): Promise<Indexed> {
  const known = await knownDocuments(retriever, new Set(files));
  const result: Indexed = { documents: 0, encoded: 0, unchanged: 0, removed: 0, truncated: 0 };
  const seen = new Set<string>();
  let changed: FileDocument[] = [];
  const put = async (): Promise<void> => {
    const options: RetrieverAddOptions = {
      onDuplicate: 'replace',
      ...(split ? { split } : {}),
      ...(signal ? { signal } : {}),
    };
    const before = result.encoded;
    const { truncated } = await retriever.add(changed, {
      ...options,
      ...(onProgress
        ? {
            onProgress: ({ done }) => {
              onProgress({ done: before + done, total: undefined });
            },
          }
        : {}),
    });
    result.encoded += changed.length;
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
      result.documents++;
      const content = contentOf(document, split);
      if (known.get(document.id) === `${file}\n${content}`) result.unchanged++;
      else changed.push(withOrigin(document, { file, content }));
      if (changed.length >= stepDocuments) await put();
    }
  if (changed.length > 0) await put();
  const vanished = [...known.keys()].filter((id) => !seen.has(id));
  if (vanished.length > 0) result.removed = (await retriever.remove(vanished, signal ? { signal } : {})).removed;
  return result;
}

/** What the store has of these files: file and content by id. */
async function knownDocuments(retriever: Retriever, files: ReadonlySet<string>): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  await holding(retriever[collectionOf].snapshot, async (snapshot) => {
    for await (const rows of liveRows(snapshot))
      for (const { id, [origin]: from } of rows)
        if (from && files.has(from.file)) known.set(id, `${from.file}\n${from.content}`);
  });
  return known;
}

/** A hash of everything that a document's rows depend on. */
function contentOf({ text, metadata }: FileDocument, split: Options['split']): string {
  return createHash('sha256')
    .update(JSON.stringify([text, metadata, split]))
    .digest('base64url')
    .slice(0, 22);
}

function withOrigin(document: FileDocument, from: Origin): FileDocument {
  return Object.assign(document, { [origin]: from });
}
