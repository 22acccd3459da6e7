// hnswlib-node's BruteforceSearch, which takes arrays of numbers, a query a call.
import { serve } from './serve.mjs';

const { default: hnswlib } = await import(process.argv[2]);
let index;
await serve({
  load: (vectors, d, n) => {
    index = new hnswlib.BruteforceSearch('l2', d);
    index.initIndex(n);
    for (let i = 0; i < n; i++) index.addPoint(Array.from(vectors.subarray(i * d, (i + 1) * d)), i);
  },
  search: (queries, nq, k, d) =>
    Array.from(
      { length: nq },
      (_, j) => index.searchKnn(Array.from(queries.subarray(j * d, (j + 1) * d)), k).neighbors,
    ).flat(),
});
