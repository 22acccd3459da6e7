// How fast are pooling and merging? Against numpy. They are internal, so they are called through the built addon.
import { native } from '../dist/native.js';
import { Peer, compare, gaussian, interleave, table, timed, withScratch } from './harness.mjs';

const n = 32;
const length = 256;
const d = 384;
const queries = 1000;
const candidates = 100;
const k = 10;

export async function poolMergeBench() {
  const numpy = Peer.python('pool_peer', ['numpy']);
  const hidden = gaussian(n * length * d, 3);
  const lengths = Int32Array.from({ length: n }, (_, i) => 64 + ((i * 53) % 193));
  const offsets = Int32Array.from({ length: n }, (_, i) => i * length);
  const scores = gaussian(queries * candidates, 4);
  const labels = Int32Array.from({ length: queries * candidates }, (_, i) => i % candidates);
  const bounds = Int32Array.from({ length: queries + 1 }, (_, i) => i * candidates);
  const rows = [];
  await withScratch(async (scratch) => {
    await numpy?.ask({
      do: 'load',
      n,
      length,
      d,
      queries,
      hidden: scratch.write('hidden.f32', hidden),
      lengths: scratch.write('lengths.i32', lengths),
      scores: scratch.write('scores.f32', scores),
    });
    const jobs = [
      [
        `mean pooling, ${n} x ${length} x ${d}, normalised`,
        'pool',
        () => native().pool(hidden, offsets, lengths, d, 'mean', true),
      ],
      [
        `rerank merge, ${queries} queries x ${candidates}, k = ${k}`,
        'merge',
        () => native().mergeRerank(labels, scores, bounds, k),
      ],
    ];
    for (const [name, request, ours] of jobs) {
      const contestants = { flatrank: () => timed(ours) };
      if (numpy) contestants.numpy = async () => (await numpy.ask({ do: request, k })).ms;
      const { flatrank, numpy: peer } = await interleave(contestants, 21);
      rows.push([name, ...compare(flatrank, peer)]);
    }
  });
  numpy?.stop();
  return table(['operation', 'flatrank, ms', 'numpy, ms', 'numpy / flatrank'], rows);
}
