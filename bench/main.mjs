// npm run bench: every question, its table in bench/results/bench.md and in the README.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { native } from '../dist/native.js';
import { crossEncoderBench, encodeBench } from './encode.mjs';
import { machine } from './harness.mjs';
import { loadBench } from './load.mjs';
import { poolMergeBench } from './pool-merge.mjs';
import { searchBench } from './search.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const sections = [
  ['Search', searchBench],
  ['Pooling and merging', poolMergeBench],
  ['Encoding', encodeBench],
  ['Cross-encoder', crossEncoderBench],
  ['Loading', loadBench],
];

let text = `${machine(native().isa)}. Medians of interleaved runs in one go; a ratio is the median of the rounds'.\n`;
for (const [title, run] of sections) {
  const result = await run();
  text += `\n**${title}**\n\n${result}\n`;
  console.log(`${title}\n${result}\n`);
}
writeFileSync(path.join(root, 'bench/results/bench.md'), `# Benchmarks\n\n${text}`);
const readme = path.join(root, 'README.md');
const [start, end] = ['<!-- bench -->', '<!-- /bench -->'];
writeFileSync(
  readme,
  readFileSync(readme, 'utf8').replace(new RegExp(`${start}[^]*${end}`), () => `${start}\n\n${text}\n${end}`),
);
process.exit(0); // peers end with their input; nothing is waited for
