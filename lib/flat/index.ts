export { IndexFlatIP, IndexFlatL2 } from './index-flat.js';
export type { IndexFlatOptions, RangeSearchResult, ReadOptions, SearchOptions, SearchResult } from './types.js';
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
