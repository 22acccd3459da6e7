import { type FileDocument, readDocuments } from '../data/index.js';
import type { SentenceTransformer } from '../model/index.js';
import { documentCounter } from '../retriever/document-counter.js';
import type { InputOptions } from './options.js';

/** The documents of all files, in order; text and Markdown split to fit the model. */
export async function readFiles(
  files: readonly string[],
  model: SentenceTransformer,
  { text, id }: Pick<InputOptions, 'text' | 'id'>,
  signal: AbortSignal,
): Promise<FileDocument[]> {
  const documents: FileDocument[] = [];
  const options = { textField: text, idField: id, splitFor: documentCounter(model, signal) };
  for (const file of files)
    for await (const document of readDocuments(file, options)) {
      signal.throwIfAborted();
      documents.push(document);
    }
  return documents;
}
