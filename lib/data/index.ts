export type { TextBlock } from './blocks.js';
export { readCsv, type CsvOptions } from './csv.js';
export { readDocuments, type FileDocument, type ReadDocumentsOptions } from './documents.js';
export { readJsonl } from './jsonl.js';
export { readMarkdown } from './markdown.js';
export type { FileRecord } from './record.js';
export { splitBlocks, type Piece, type SplitOptions, type TokenCounter } from './split.js';
export { readText } from './text.js';
