// What the npm peers of the search bench share: `serve` answers the lines that bench/search/peers.mjs describes.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const floats = (file) => {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
};

/**
 * @param load (vectors, d, n): fills an index
 * @param search (queries, nq, k, d, threads): labels of the nearest, (nq · k), query after query
 */
export async function serve({ load, search }) {
  let queries;
  let d;
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let labels = [];
    let started;
    if (request.do === 'load') {
      d = request.d;
      queries = floats(request.queries);
      const vectors = floats(request.vectors);
      started = performance.now();
      await load(vectors, d, vectors.length / d);
    } else {
      const batch = queries.subarray(0, request.nq * d);
      started = performance.now();
      labels = await search(batch, request.nq, request.k, d, request.threads);
    }
    const ms = performance.now() - started;
    console.log(JSON.stringify({ ms, labels: Array.from(labels.slice(0, 4 * (request.k ?? 0)), Number) }));
  }
}
