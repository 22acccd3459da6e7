// How fast is exact search? Against faiss IndexFlatL2 at one thread and at all, whichever is faster, and the npm packages
// that search exactly. As a program it measures any part of the grid and keeps what it measured:
//   node bench/search.mjs [--data clustered,…] [--n 1000,…] [--d 384,768] [--nq 1,4,…] [--k 10,100]
//     [--peers faiss,usearch,…] [--fp32] [--into bench/results/search.jsonl]
//   node bench/search.mjs --report         bench/results/search.md and search.svg of all that was kept
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { here } from './harness.mjs';
import { dataNames } from './search/datasets.mjs';
import { measure } from './search/grid.mjs';
import { peers } from './search/peers.mjs';
import { markdownOf, writeReport } from './search/report.mjs';

const kept = path.join(here, 'results', 'search.jsonl');

/** The part of the grid that `npm run bench` measures: a few minutes. */
export async function searchBench() {
  const records = [];
  const filter = { data: ['clustered'], n: [10_000, 100_000], d: [384, 768], nq: [1, 16, 256], k: [10] };
  await measure({ ...filter, peers: Object.keys(peers), fp32: true }, (record) => records.push(record));
  return markdownOf(records);
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: dataNames.join() },
      n: { type: 'string', default: '1000,10000,100000,1000000' },
      d: { type: 'string', default: '384,768' },
      nq: { type: 'string', default: '1,4,16,64,256,1024' },
      k: { type: 'string', default: '10,100' },
      peers: { type: 'string', default: Object.keys(peers).join() },
      fp32: { type: 'boolean', default: false },
      into: { type: 'string', default: kept },
      report: { type: 'boolean', default: false },
    },
  });
  if (values.report) {
    await writeReport(values.into);
    return;
  }
  const numbers = (text) => text.split(',').map(Number);
  await measure(
    {
      data: values.data.split(','),
      n: numbers(values.n),
      d: numbers(values.d),
      nq: numbers(values.nq),
      k: numbers(values.k),
      peers: values.peers.split(',').filter(Boolean),
      fp32: values.fp32,
    },
    (record) => {
      appendFileSync(values.into, `${JSON.stringify(record)}\n`);
      const { data, n, d, nq, k, times, add } = record;
      const ms = Object.entries(times ?? {}).map(([name, t]) => `${name} ${t.ms.toFixed(2)} (${t.ratio.toFixed(1)}x)`);
      console.log(`${data} ${n} x ${d}: ${add ? `add ${JSON.stringify(add)}` : `nq ${nq}, k ${k}: ${ms.join(', ')}`}`);
    },
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main();
  process.exit(0); // peers end with their input; nothing is waited for
}
