export {
  IndexFlatIP,
  IndexFlatL2,
  type IndexFlatOptions,
  type RangeSearchResult,
  type ReadOptions,
  type SearchOptions,
  type SearchResult,
} from './index-flat.js';
export {
  IDSelector,
  IDSelectorAll,
  IDSelectorAnd,
  IDSelectorArray,
  IDSelectorBatch,
  IDSelectorBitmap,
  IDSelectorNot,
  IDSelectorOr,
  IDSelectorRange,
  IDSelectorXOr,
} from './selectors.js';
export { mergeSearchResults, type MergeOptions } from './merge.js';
