// A store of a million vectors: what opening costs, what the first search reads, and what a filter saves.
// node bench/store.mjs [--rows 1000000] [--write]
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Matrix, Retriever } from '../dist/index.js';
import { native } from '../dist/native.js';
import { gaussian, here, interleave, machine, table, timed } from './harness.mjs';

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, write: { type: 'boolean' }, store: { type: 'string' } },
});
const rows = Number(values.rows);
const dimension = 384;
const parts = 100;

/**
 * Vectors by number: points about a thousand centres, as embeddings of texts about a thousand things are. The text is
 * the number.
 */
const centres = gaussian(1000 * dimension, 1);
const noise = gaussian(1 << 20, 2);
function vectorsOf(texts) {
  const data = new Float32Array(texts.length * dimension);
  for (const [i, text] of texts.entries()) {
    const number = Number(text);
    const centre = ((number * 7919) % 1000) * dimension;
    const from = (number * 104729) % (noise.length - dimension);
    let norm = 0;
    for (let j = 0; j < dimension; j++) {
      const value = centres[centre + j] + noise[from + j];
      data[i * dimension + j] = value;
      norm += value * value;
    }
    for (let j = 0; j < dimension; j++) data[i * dimension + j] /= Math.sqrt(norm);
  }
  return new Matrix(data, texts.length, dimension);
}
const encoder = {
  dimension,
  encodeQuery: async (texts) => vectorsOf(texts),
  encodeDocument: async (texts) => vectorsOf(texts),
};

/** `group` is by chance, so that the rows of one lie apart; those of a `shelf` stand side by side. */
async function* documents() {
  let state = 1;
  const chance = (n) => Math.floor(((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * n);
  for (let i = 0; i < rows; i++)
    yield {
      id: `d${i}`,
      text: String(i),
      metadata: { group: chance(parts), shelf: Math.floor((i * parts) / rows), year: 1990 + chance(35) },
    };
}

/** Bytes of mapped files that are in this process's memory. */
function mappedBytes() {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/RssFile:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}
/** Bytes this process read by itself, from the disk or from the system's cache. */
const readBytes = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? 0);
const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const milliseconds = (ms) => (ms < 10 ? ms.toFixed(2) : ms.toFixed(0));

const scratch = values.store ?? mkdtempSync(path.join(tmpdir(), 'flatrank-bench-'));
const report = [];
const say = (text = '') => {
  report.push(text);
  console.log(text);
};
try {
  const retrieverOf = () => Retriever.open(scratch, { encoder });
  let built;
  if (!readdirSync(scratch).includes('manifest.json'))
    built = await timed(async () => {
      const empty = await Retriever.create({ encoder, metric: 'cosine' });
      await empty.save(scratch);
      const filling = await retrieverOf();
      await filling.add(documents());
      await filling.dispose();
    });
  const bytes = readdirSync(scratch).reduce((sum, name) => sum + statSync(path.join(scratch, name)).size, 0);
  const vectorBytes = readdirSync(scratch)
    .filter((name) => name.endsWith('.vectors'))
    .reduce((sum, name) => sum + statSync(path.join(scratch, name)).size, 0);

  say('# A store');
  say();
  say(`${machine(native().isa)}. ${rows} documents, ${dimension} dimensions, ${megabytes(bytes)} on the disk,`);
  say(
    `${megabytes(vectorBytes)} of them vectors${built ? `, written in ${(built / 1000).toFixed(0)} s` : ''}. One query, k = 10.`,
  );
  say();

  const cost = [];
  let retriever;
  const measure = async (what, work) => {
    const before = [mappedBytes(), readBytes()];
    const ms = await timed(work);
    const [mapped, read] = [mappedBytes() - before[0], readBytes() - before[1]];
    cost.push([
      what,
      milliseconds(ms),
      megabytes(read),
      megabytes(mapped),
      `${(((read + mapped) / bytes) * 100).toFixed(1)}%`,
    ]);
  };
  await measure('open', async () => {
    retriever = await retrieverOf();
  });
  await measure('first search', () => retriever.search('12345'));
  await measure('first search with a filter', () => retriever.search('12345', { filter: { group: 7 } }));
  say(table(['', 'ms', 'read', 'mapped files in memory', 'of the store'], cost));
  say();

  let query = 0;
  const next = () => String((query += 7_919));
  const filters = {
    'all rows': {},
    '10% by chance: { group: { lt: 10 } }': { filter: { group: { lt: 10 } } },
    '5% by chance: { group: { lt: 5 } }': { filter: { group: { lt: 5 } } },
    '1% by chance: { group: 7 }': { filter: { group: 7 } },
    '1% side by side: { shelf: 7 }': { filter: { shelf: 7 } },
    '0.03% by chance: { group: 7, year: 2000 }': { filter: { group: 7, year: 2000 } },
  };
  const measured = async (count, rounds) => {
    const contestants = Object.entries(filters).map(([name, options]) => {
      const ask = () => retriever.search(count === 1 ? next() : Array.from({ length: count }, next), options);
      return [name, () => timed(ask)];
    });
    return interleave(Object.fromEntries(contestants), rounds);
  };
  const [one, many] = [await measured(1, 31), await measured(32, 9)];
  say('Medians of interleaved searches whose filters were used before; ratios are to all rows, in the same round.');
  say();
  say(
    table(
      ['filter', 'ms', 'ratio', '32 queries at once, ms', 'ratio'],
      Object.keys(filters).map((name) => [
        name,
        ...[one, many].flatMap((results) => [milliseconds(results[name].ms), results[name].ratio.toFixed(3)]),
      ]),
    ),
  );
  say();
  let year = 0;
  const fresh = await interleave(
    {
      'all rows': () => timed(() => retriever.search(next())),
      'a filter never used before': () =>
        timed(() => retriever.search('1', { filter: { group: 7, year: { gte: 1900 + year++ } } })),
    },
    15,
  );
  const first = fresh['a filter never used before'];
  say(
    `A filter that was never used before, on fields that were: ${milliseconds(first.ms)} ms, ${first.ratio.toFixed(3)} of the search over all rows.`,
  );
  await retriever.dispose();
  const kept1 = Object.keys(filters).filter((name) => name.startsWith('1%'));
  if (kept1.some((name) => one[name].ratio > 0.1)) process.exitCode = 1;
} finally {
  if (!values.store) rmSync(scratch, { recursive: true, force: true });
}

if (values.write) {
  mkdirSync(path.join(here, 'results'), { recursive: true });
  writeFileSync(path.join(here, 'results', 'store.md'), `${report.join('\n')}\n`);
}
