// How fast is exact search? Against faiss IndexFlatL2, at one thread and at all, whichever is faster.
import { cpus } from 'node:os';
import { IndexFlatL2 } from 'flatrank';
import { Peer, compare, gaussian, interleave, table, timed, withScratch } from './harness.mjs';

const n = 100_000;
const k = 10;
const cases = [384, 768].map((d) => ({ d, batches: [1, 16, 256] }));

export async function searchBench() {
  const faiss = Peer.python('search_peer', ['faiss', 'numpy']);
  const rows = [];
  await withScratch(async (scratch) => {
    for (const { d, batches } of cases) {
      const vectors = gaussian(n * d, 1);
      const queries = gaussian(Math.max(...batches) * d, 2);
      const files = { vectors: scratch.write('vectors.f32', vectors), queries: scratch.write('queries.f32', queries) };
      let index;
      const adding = {
        flatrank: async () => {
          await index?.dispose();
          index = new IndexFlatL2(d);
          return timed(() => index.add(vectors));
        },
      };
      if (faiss) adding.faiss = async () => (await faiss.ask({ do: 'load', d, ...files })).ms;
      const added = await interleave(adding, 5);
      rows.push([d, 'add', ...compare(added.flatrank, added.faiss), '–']);
      for (const nq of batches) {
        const batch = queries.subarray(0, nq * d);
        let ours;
        let theirs;
        const contestants = {
          flatrank: () =>
            timed(async () => {
              ours = await index.search(batch, k);
            }),
        };
        if (faiss)
          for (const threads of new Set([1, cpus().length]))
            contestants[`faiss ${threads}`] = async () => {
              theirs = await faiss.ask({ do: 'search', nq, k, threads });
              return theirs.ms;
            };
        const result = await interleave(contestants, nq < 64 ? 11 : 5);
        const best = Object.entries(result)
          .filter(([name]) => name !== 'flatrank')
          .sort(([, a], [, b]) => a.ms - b.ms)[0]?.[1];
        const same = theirs
          ? theirs.labels.filter((label, i) => label === ours.labels[i]).length / theirs.labels.length
          : undefined;
        rows.push([d, `search, nq = ${nq}`, ...compare(result.flatrank, best), same?.toFixed(3) ?? '–']);
      }
      await index.dispose();
    }
  });
  faiss?.stop();
  return table(['d', `${n} vectors, k = ${k}`, 'flatrank, ms', 'faiss, ms', 'faiss / flatrank', 'same ids'], rows);
}
