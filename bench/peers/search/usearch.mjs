// usearch's exactSearch, which keeps no index: it is handed all vectors each time.
import { serve } from './serve.mjs';

const { default: usearch } = await import(process.argv[2]);
let rows;
await serve({
  load: (vectors) => {
    rows = vectors;
  },
  search: (queries, nq, k, d, threads) =>
    usearch.exactSearch(rows, queries, d, k, usearch.MetricKind.L2sq, threads).keys,
});
