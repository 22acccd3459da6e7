export {
  IndexFlatIP,
  IndexFlatL2,
  type IndexFlatOptions,
  type SearchOptions,
  type SearchResult,
} from './index-flat.js';
export { mergeSearchResults, type MergeOptions } from './merge.js';
