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
const groups = 100;

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

async function* documents() {
  for (let i = 0; i < rows; i++)
    yield {
      id: `d${i}`,
      text: String(i),
      metadata: { group: i % groups, year: 1990 + (i % 35), lang: i % 3 ? 'en' : 'ko' },
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
  const searching = (options) => () => timed(() => retriever.search(String((query += 7_919)), options));
  const contestants = {
    'all rows': searching({}),
    '10%: { group: { lt: 10 } }': searching({ filter: { group: { lt: 10 } } }),
    '1%: { group: 7 }': searching({ filter: { group: 7 } }),
    '0.03%: { group: 7, year: 2000 }': searching({ filter: { group: 7, year: 2000 } }),
  };
  const results = await interleave(contestants, 31);
  say('Medians of interleaved searches whose filters were used before; the ratio is that of the same round.');
  say();
  say(
    table(
      ['filter', 'ms', 'of the search over all rows'],
      Object.entries(results).map(([name, { ms, ratio }]) => [
        name,
        milliseconds(ms),
        name === 'all rows' ? '1' : ratio.toFixed(3),
      ]),
    ),
  );
  say();
  let year = 0;
  const fresh = await interleave(
    {
      'all rows': searching({}),
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
  if (results['1%: { group: 7 }'].ratio > 0.1) process.exitCode = 1;
} finally {
  if (!values.store) rmSync(scratch, { recursive: true, force: true });
}

if (values.write) {
  mkdirSync(path.join(here, 'results'), { recursive: true });
  writeFileSync(path.join(here, 'results', 'store.md'), `${report.join('\n')}\n`);
}
