// What the benchmarks share: interleaved timing, peers in processes of their own, tables.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const here = fileURLToPath(new URL('.', import.meta.url));

/** Reproducible standard normal values (Box and Muller 1958 over a 32-bit congruential generator). */
export function gaussian(count, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 4294967297;
  };
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Milliseconds between turns, and of which short runs are repeated. */
const [rest, burst] = [50, 30];

/**
 * Times contestants in turn, A B C A B C …, so that a machine whose speed drifts is fair to all of them. A turn begins when
 * the threads of the one before have fallen asleep (some spin for a while). What is short runs again and again, and the
 * median without the first counts: as in a service that is busy, not in one that wakes up for it.
 * @param contestants { name: async () => milliseconds }, the first being ours
 * @returns { name: { ms: median, ratio: median of (its time / ours) in the same round, quartiles of that } }
 */
export async function interleave(contestants, rounds) {
  return (await interleaveAll({ all: contestants }, rounds)).all;
}

/**
 * {@link interleave} for groups of contestants, { group: contestants }: a round takes all groups, so that a slow minute is
 * no group's own, and begins each with another contestant, since what ran before may be a group that let the processor rest.
 */
export async function interleaveAll(groups, rounds) {
  const times = mapValues(groups, (contestants) => mapValues(contestants, () => []));
  for (let round = -1; round < rounds; round++)
    for (const [group, contestants] of Object.entries(groups))
      for (const [name, run] of rotated(Object.entries(contestants), round + 1)) {
        await setTimeout(rest);
        const end = performance.now() + burst;
        const turn = [await run()];
        while (performance.now() < end) turn.push(await run());
        if (round >= 0) times[group][name].push(median(turn.length > 1 ? turn.slice(1) : turn)); // the first round warms up
      }
  return mapValues(times, (lists) => {
    const [ours] = Object.values(lists);
    return mapValues(lists, (list) => {
      const ratios = list.map((value, i) => value / ours[i]).sort((a, b) => a - b);
      const quarter = Math.round((ratios.length - 1) / 4);
      return { ms: median(list), ratio: median(ratios), quartiles: [ratios[quarter], ratios.at(-1 - quarter)] };
    });
  });
}

const rotated = (list, by) => list.map((_, i) => list[(i + by) % list.length]);

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

/** Milliseconds that `work` takes. */
export async function timed(work) {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** A peer in a process of its own: it answers one JSON line for each it is sent. */
export class Peer {
  /** bench/peers/NAME.py, or undefined, saying why, where FLATRANK_PYTHON (default python3) lacks one of the modules. */
  static python(name, modules) {
    const python = process.env.FLATRANK_PYTHON ?? 'python3';
    const probe = spawnSync(python, ['-c', `import ${modules.join(', ')}`], { encoding: 'utf8' });
    if (probe.status === 0) return new Peer(python, [path.join(here, 'peers', `${name}.py`)]);
    const reason = probe.error?.message ?? probe.stderr.trim().split('\n').at(-1);
    console.log(`skipped: ${modules.join(', ')} in ${path.basename(python)} (${reason})`);
    return undefined;
  }

  /** bench/peers/NAME.mjs over packages in the folder FLATRANK_PEERS, or undefined, saying why, where one is not there. */
  static node(name, ...packageNames) {
    const folder = path.resolve(process.env.FLATRANK_PEERS ?? '.');
    const { resolve } = createRequire(path.join(folder, 'index.js'));
    const entries = [];
    for (const packageName of packageNames)
      try {
        entries.push(pathToFileURL(resolve(packageName)).href);
      } catch {
        console.log(`skipped: ${packageName} (not installed in the folder that FLATRANK_PEERS names)`);
        return undefined;
      }
    return new Peer(process.execPath, [path.join(here, 'peers', `${name}.mjs`), ...entries]);
  }

  constructor(command, args) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async ask(request) {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the peer ended');
    return JSON.parse(value);
  }

  stop() {
    this.child.stdin.end();
  }
}

/** A folder for what the peers read, gone when `use` has ended. */
export async function withScratch(use) {
  const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-bench-'));
  try {
    return await use({
      write(name, data) {
        const file = path.join(folder, name);
        const bytes =
          typeof data === 'string' ? Buffer.from(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        const out = openSync(file, 'w');
        for (let at = 0; at < bytes.length;) at += writeSync(out, bytes, at, Math.min(2 ** 30, bytes.length - at)); // at once: 2 GB
        closeSync(out);
        return file;
      },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function table(header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Three cells: our time, the peer's, and how many times ours the peer takes; dashes where there is no peer. */
export function compare(ours, peer) {
  return [milliseconds(ours.ms), peer ? milliseconds(peer.ms) : '–', peer ? times(peer.ratio) : '–'];
}

/** The same, and between which ratios the middle half of the rounds lay. */
export function compareSpread(ours, peer) {
  const cells = compare(ours, peer);
  return peer
    ? [...cells.slice(0, 2), `${cells[2]} (${peer.quartiles.map((q) => times(q).slice(0, -1)).join('–')})`]
    : cells;
}

const milliseconds = (value) => (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0));
const times = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(1)}x`;

/** The machine in words. */
export function machine(isa) {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${model}, ${cpus().length} cores, ${isa}, Node.js ${process.versions.node}`;
}
