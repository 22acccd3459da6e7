export { batchesWithoutDuplicates, shuffled, type EpochOptions } from './batches.js';
export { loadBeir, type BeirDataset, type BeirDocument } from './beir.js';
export type { TextBlock } from './blocks.js';
export { loadCranfield } from './cranfield.js';
export { readCsv, type CsvOptions } from './csv.js';
export { readDocuments, type FileDocument, type ReadDocumentsOptions } from './documents.js';
export {
  addIrrelevantContexts,
  labelledPairs,
  positivePairs,
  readExamples,
  type InputExample,
  type ReadExamplesOptions,
} from './examples.js';
export { readJsonArray, type JsonArrayOptions } from './json-array.js';
export { readJsonl } from './jsonl.js';
export { readMarkdown } from './markdown.js';
export { readParquet, type ParquetOptions } from './parquet.js';
export { loadKlueMrc, loadKorQuad, type Answer, type QuestionRow } from './questions.js';
export type { FileRecord } from './record.js';
export { readRecords, type ReadRecordsOptions, type RecordFormat } from './records.js';
export type { DatasetOptions } from './source.js';
export { splitBlocks, type Piece, type SplitOptions, type TokenCounter } from './split.js';
export { loadKlueSts, loadKorSts, type KlueStsRow, type KorStsRow, type StsRow } from './sts.js';
export { readText } from './text.js';
export { trainTestSplit, type TrainTestSplitOptions } from './train-test-split.js';
