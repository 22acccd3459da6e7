// Measures cases of exact search, all contestants interleaved in one run, and gives a record a case.
import { IndexFlatL2 } from 'flatrank';
import { native } from '../../dist/native.js';
import { interleave, machine, median, timed, withScratch } from '../harness.mjs';
import { makeData } from './datasets.mjs';
import { peers as known } from './peers.mjs';

/** Rounds: enough for a steady median where a round is short. */
const roundsFor = (work) => (work < 1e9 ? 31 : work < 1e10 ? 11 : work < 1e11 ? 5 : 3);

/**
 * @param filter { data, n, d, nq, k: lists; peers: names; fp32: whether our scan without codes runs too }
 * @param report takes each record as soon as it is measured
 */
export async function measure({ data, n, d, nq, k, peers, fp32 }, report) {
  const open = {};
  for (const name of peers) {
    const peer = known[name].open();
    if (peer) open[name] = peer;
  }
  for (const kind of data)
    for (const rows of n)
      for (const dimension of d) {
        const made = makeData(kind, rows, dimension);
        if (!made) {
          console.log(`skipped: ${kind} with ${rows} x ${dimension}`);
          continue;
        }
        await withScratch((scratch) =>
          measureShape({ kind, rows, dimension, nq, k, fp32 }, made, open, scratch, report),
        );
      }
  for (const peer of Object.values(open)) peer.stop();
}

async function measureShape({ kind, rows, dimension, nq, k, fp32 }, made, open, scratch, report) {
  const { queries } = made;
  const files = { vectors: scratch.write('vectors.f32', made.vectors), queries: scratch.write('queries.f32', queries) };
  const shape = { data: kind, n: rows, d: dimension, machine: machine(native().isa) };
  const usable = [];

  const repeats = rows * dimension > 1e8 ? 2 : 3; // the first meets memory that nobody has touched yet, and does not count
  const add = async (options) => {
    const times = [];
    let index;
    for (let i = 0; i < repeats; i++) {
      await index?.dispose();
      index = new IndexFlatL2(dimension, options);
      times.push(await timed(() => index.add(made.vectors)));
    }
    return [index, median(times.slice(1))];
  };
  const [index, ms] = await add({});
  const [plain, plainMs] = fp32 ? await add({ codes: 'none' }) : [];
  const added = { flatrank: ms, ...(plain ? { 'flatrank fp32': plainMs } : {}) };
  made.vectors = undefined; // the peers have files
  for (const [name, peer] of Object.entries(open)) {
    if (rows * dimension > (known[name].limit ?? Infinity)) continue;
    try {
      const times = [];
      for (let i = 0; i < repeats; i++) times.push((await peer.ask({ do: 'load', d: dimension, ...files })).ms);
      added[name] = median(times.slice(1));
      usable.push([name, peer]);
    } catch {
      console.log(`skipped: ${name} (it ended while it was loading; see above)`);
      delete open[name];
    }
  }
  report({ ...shape, add: added, bytesPerVector: index.memoryBytes / rows });

  for (const count of nq)
    for (const wanted of k) {
      const work = rows * dimension * count;
      const batch = queries.subarray(0, count * dimension);
      const answers = {};
      const contestants = {
        flatrank: () =>
          timed(async () => {
            answers.flatrank = (await index.search(batch, wanted)).labels;
          }),
      };
      if (plain) contestants['flatrank fp32'] = () => timed(() => plain.search(batch, wanted));
      for (const [name, peer] of usable) {
        if (work > (known[name].limit ?? Infinity)) continue;
        for (const threads of new Set(known[name].threads))
          contestants[known[name].threads.length > 1 ? `${name} ${threads}` : name] = async () => {
            const answer = await peer.ask({ do: 'search', nq: count, k: wanted, threads });
            answers[name] = answer.labels;
            return answer.ms;
          };
      }
      const times = await interleave(contestants, roundsFor(work));
      // How many of a peer's labels of the first queries are ours too, whatever their order.
      const recall = Object.fromEntries(
        Object.entries(answers)
          .filter(([name]) => name !== 'flatrank')
          .map(([name, labels]) => [name, recallOf(answers.flatrank, labels, wanted)]),
      );
      report({ ...shape, nq: count, k: wanted, times, recall });
    }
  await index.dispose();
  await plain?.dispose();
}

/** The share of `theirs` that is in `ours`, query by query. */
function recallOf(ours, theirs, k) {
  let same = 0;
  for (let i = 0; i < theirs.length; i += k) {
    const row = new Set(ours.subarray(i, i + k));
    for (const label of theirs.slice(i, i + k)) if (row.has(label)) same++;
  }
  return same / theirs.length;
}
