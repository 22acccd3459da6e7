// What was measured, as tables and a plot. Records of the same case are merged: the last one counts.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';
import { here, table } from '../harness.mjs';
import { logLinePlot } from '../plot.mjs';

/** Ratio to the faster of faiss at one and at two threads, ours with two: what is aimed at, by instruction set. */
const goals = {
  avx512: {
    768: { 1: 4, 4: 14, 16: 25, 64: 28, 256: 4, 1024: 3.5 },
    384: { 1: 5, 4: 18, 16: 30, 64: 30, 256: 30, 1024: 3.5 },
  },
  avx2: {
    768: { 1: 4.5, 4: 16, 16: 25, 64: 26, 256: 2.7, 1024: 2.4 },
    384: { 1: 4.5, 4: 17, 16: 25, 64: 26, 256: 28, 1024: 2.4 },
  },
};

const milliseconds = (ms) => (ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0));
const ratio = (value) => (value === undefined ? '–' : `${value < 10 ? value.toFixed(2) : value.toFixed(1)}x`);
const isaOf = ({ machine }) => machine.split(', ').at(-2);

/** The faster of a peer's settings. */
function bestOf(times, peer) {
  const found = Object.entries(times).filter(([name]) => name === peer || name.startsWith(`${peer} `));
  const ours = found.filter(([name]) => name !== 'flatrank fp32' || peer === 'flatrank fp32');
  return ours.sort(([, a], [, b]) => a.ms - b.ms)[0]?.[1];
}

const npmPeers = ['usearch', 'hnswlib', 'sqlite-vec', 'lancedb'];
const keyOf = (r) => [r.data, r.n, r.d, r.nq, r.k, isaOf(r)].join();

function searchTable(records) {
  const used = npmPeers.filter((name) => records.some(({ times }) => bestOf(times, name)));
  const header = ['n', 'd', 'nq', 'k', 'flatrank, ms', 'faiss, ms', 'faiss', 'same ids', ...used, 'own fp32'];
  return table(
    header,
    records.map(({ n, d, nq, k, times, recall }) => {
      const faiss = bestOf(times, 'faiss');
      return [
        n,
        d,
        nq,
        k,
        milliseconds(times.flatrank.ms),
        faiss ? milliseconds(faiss.ms) : '–',
        ratio(faiss?.ratio),
        recall.faiss?.toFixed(4) ?? '–',
        ...used.map((name) => ratio(bestOf(times, name)?.ratio)),
        ratio(times['flatrank fp32']?.ratio),
      ];
    }),
  );
}

function addTable(records) {
  const rate = (n, ms) => (ms ? `${Math.round(n / ms)}` : '–');
  return table(
    ['data', 'n', 'd', 'bytes a vector', 'flatrank', ...['faiss', ...npmPeers]],
    records.map(({ data, n, d, bytesPerVector, add }) => [
      data,
      n,
      d,
      Math.round(bytesPerVector),
      ...['flatrank', 'faiss', ...npmPeers].map((name) => rate(n, name === 'usearch' ? undefined : add[name])),
    ]),
  );
}

function goalTable(records) {
  const rows = [];
  for (const [isa, byDimension] of Object.entries(goals))
    for (const [d, byCount] of Object.entries(byDimension))
      for (const [nq, goal] of Object.entries(byCount)) {
        const found = records.filter(
          (r) => isaOf(r) === isa && r.n === 100_000 && r.k === 10 && r.d === Number(d) && r.nq === Number(nq),
        );
        const record = found.find(({ data }) => data === 'clustered');
        const faiss = record && bestOf(record.times, 'faiss');
        if (!faiss) continue;
        rows.push([
          isa,
          d,
          nq,
          goal,
          ratio(faiss.ratio),
          faiss.ratio >= goal ? 'met' : `${(faiss.ratio / goal).toFixed(2)} of it`,
        ]);
      }
  return table(['kernels', 'd', 'nq', 'goal', 'measured', ''], rows);
}

/** The tables of `records`. */
export function markdownOf(records) {
  const searches = records.filter(({ times }) => times);
  const parts = [];
  const kinds = [...new Set(searches.map((r) => `${r.data}, ${isaOf(r)} kernels`))];
  for (const kind of kinds)
    parts.push(`${kind}\n\n${searchTable(searches.filter((r) => `${r.data}, ${isaOf(r)} kernels` === kind))}`);
  parts.push(`Vectors added a millisecond\n\n${addTable(records.filter(({ add }) => add))}`);
  return parts.join('\n\n');
}

/** Writes search.md and search.svg beside the records. */
export async function writeReport(file) {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const byCase = new Map(lines.map((line) => JSON.parse(line)).map((record) => [keyOf(record), record]));
  const order = ['data', 'n', 'd', 'k', 'nq'];
  const records = [...byCase.values()].sort((a, b) => {
    for (const field of order) {
      const difference = field === 'data' ? a.data.localeCompare(b.data) : (a[field] ?? 0) - (b[field] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  });
  const machines = [...new Set(records.map(({ machine }) => machine))];
  const notes = path.join(here, 'search', 'notes.md');
  const text = `# Exact search

${machines.map((machine) => `- ${machine}`).join('\n')}

Medians of interleaved rounds in one run; a ratio is the median of the rounds' ratios, how many times our time the other
takes. flatrank with all processors; "faiss" is IndexFlatL2 at one thread or at two, whichever is faster; the npm packages as
their documentation uses them. "same ids": how many of the ids that faiss gives for the first four queries are ours too;
where it is not 1, faiss's own fp32 rounding, or an order among equal distances, decided. "own fp32" is our scan without
codes. Made by \`node bench/search.mjs\`.

![Time by number of queries](search.svg)

## Goals

Clustered data, 100,000 vectors, k = 10.

${goalTable(records.filter(({ times }) => times))}

${readFileSync(notes, 'utf8').trim()}

## Everything

${markdownOf(records)}
`;
  const options = { parser: 'markdown', proseWrap: 'preserve' };
  writeFileSync(path.join(here, 'results', 'search.md'), await format(text, options));
  const points = records
    .filter((r) => r.times && r.data === 'clustered' && r.k === 10 && r.n >= 10_000 && isaOf(r) === 'avx512')
    .flatMap(({ n, d, nq, times }) =>
      ['flatrank', 'faiss', ...npmPeers].flatMap((series) => {
        const best = bestOf(times, series);
        return best ? [{ panel: `${n.toLocaleString('en')} vectors, d = ${d}`, series, x: nq, y: best.ms }] : [];
      }),
    );
  const svg = await logLinePlot({ points, xTitle: 'queries at once', yTitle: 'milliseconds' });
  writeFileSync(path.join(here, 'results', 'search.svg'), svg);
}
