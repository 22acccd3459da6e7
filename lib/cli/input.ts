import { type FileDocument, readDocuments, type TokenCounter } from '../data/index.js';
import type { SentenceTransformer } from '../model/index.js';
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

/** Counts a document's tokens as `encodeDocument` reads it: with the model's prompt for documents before it. */
function documentCounter(model: SentenceTransformer, signal: AbortSignal): TokenCounter {
  const { prompts, maxSeqLength } = model;
  const name = ['document', 'passage', 'corpus'].find((key) => Object.hasOwn(prompts, key));
  const prompt = name === undefined ? '' : prompts[name]!;
  const withPrompt = (texts: readonly string[]): readonly string[] =>
    prompt === '' ? texts : texts.map((text) => prompt + text);
  return { maxSeqLength, countTokens: (texts) => model.countTokens(withPrompt(texts), { signal }) };
}
