import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Retriever, type RetrieverEncoder } from 'flatrank';
import { expect, it } from 'vitest';
import { entry, scratchFolder } from './run.js';

/** How many times the writer is killed; `FLATRANK_KILLS=1000` for the whole of it. */
const kills = Number(process.env['FLATRANK_KILLS'] ?? 30);

/** Ids in use, and those of documents that are there from the beginning: enough for segments with a file of codes. */
const ids = 2600;
const begun = 2300;

const folder = scratchFolder();
const store = path.join(folder, 'store');
const saved = path.join(folder, 'saved');

/** Of both processes: unit vectors that are a function of the text, so that each text finds itself. */
const encoderModule = `
import { Matrix } from ${JSON.stringify(entry)};
const dimension = 32;
function encode(texts) {
  const data = new Float32Array(texts.length * dimension);
  for (const [i, text] of texts.entries()) {
    let state = 2166136261;
    for (const byte of Buffer.from(text)) state = Math.imul(state ^ byte, 16777619) >>> 0;
    const row = data.subarray(i * dimension, (i + 1) * dimension);
    for (let j = 0; j < dimension; j++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      row[j] = state / 2 ** 31 - 1;
    }
    const norm = Math.hypot(...row);
    for (let j = 0; j < dimension; j++) row[j] /= norm;
  }
  return new Matrix(data, texts.length, dimension);
}
const encoded = (texts) => Promise.resolve(encode(texts));
export const encoder = { dimension, encodeQuery: encoded, encodeDocument: encoded };
`;
const encoderFile = path.join(folder, 'encoder.mjs');
writeFileSync(encoderFile, encoderModule);
const { encoder } = (await import(encoderFile)) as { encoder: RetrieverEncoder };

/** Changes the store without an end; says what it is about to do, and when that has resolved. */
const writer = `
import { writeSync } from 'node:fs';
import { Retriever } from ${JSON.stringify(entry)};
import { encoder } from './encoder.mjs';
const [store, saved, seed] = process.argv.slice(2);
let state = Number(seed) >>> 0;
const random = (n) => Math.floor(((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * n);
const say = (line) => writeSync(1, JSON.stringify(line) + '\\n');
const retriever = await Retriever.open(store, { encoder });
say({ ready: true });
for (let round = 0; ; round++) {
  const kind = ['add', 'add', 'remove', 'remove', 'compact', 'compact', 'save'][random(7)];
  const ids = Array.from({ length: 1 + random(kind === 'add' ? 40 : 8) }, () => 'd' + random(${ids}));
  const version = seed + '.' + round;
  say({ kind, ids, version });
  if (kind === 'add')
    await retriever.add(ids.map((id) => ({ id, text: id + ' ' + version, metadata: { version } })), { onDuplicate: 'replace' });
  else if (kind === 'remove') await retriever.remove(ids);
  else if (kind === 'compact') await retriever.compact();
  else await retriever.save(saved);
  say({ done: true });
}
`;

interface Line {
  ready?: boolean;
  done?: boolean;
  kind?: 'add' | 'remove' | 'compact' | 'save';
  ids: string[];
  version: string;
}

type State = Map<string, string>;

/** What the store holds behind a change. */
function after(state: State, { kind, ids, version }: Line): State {
  const next = new Map(state);
  for (const id of ids) {
    if (kind === 'add') next.set(id, `${id} ${version}`);
    if (kind === 'remove') next.delete(id);
  }
  return next;
}

/** What a store holds, every vector found by its text. */
async function read(directory: string): Promise<State> {
  await using retriever = await Retriever.open(directory, { encoder });
  const state: State = new Map();
  for await (const { id, text, metadata } of retriever.documents()) {
    expect(state.has(id)).toBe(false);
    expect(text).toBe(`${id} ${(metadata as { version: string }).version}`);
    state.set(id, text);
  }
  expect(retriever.size).toBe(state.size);
  const texts = [...state.values()];
  const found = await retriever.search(texts, { k: 1 });
  expect(found.map(([hit]) => hit!.text)).toEqual(texts);
  return state;
}

const sorted = (state: State): [string, string][] => [...state].sort(([a], [b]) => (a < b ? -1 : 1));

it(`a writer that is killed at any moment loses nothing that had resolved, and leaves nothing half done (${kills} times)`, async () => {
  const program = path.join(folder, 'writer.mjs');
  writeFileSync(program, writer);
  let state: State = new Map(Array.from({ length: begun }, (_, i) => [`d${i}`, `d${i} begun`]));
  {
    await using first = await Retriever.create({ encoder });
    await first.add([...state].map(([id, text]) => ({ id, text, metadata: { version: 'begun' } })));
    await first.save(store);
    expect(readdirSync(store).some((name) => name.endsWith('.codes'))).toBe(true);
  }
  let savedState: State | undefined;
  const interrupted: Record<string, number> = {};
  const first = randomInt(1_000_000); // another run is hit elsewhere
  for (let kill = first; kill < first + kills; kill++) {
    const child = spawn(process.execPath, [program, store, saved, String(kill)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let pending: Line | undefined;
    let timer: Promise<void> | undefined;
    const gone = once(child, 'exit');
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as Line;
      // Most changes take a few milliseconds: each of them is hit somewhere.
      if (line.ready) timer = sleep(((kill * 0.6180339887) % 1) * 120).then(() => void child.kill('SIGKILL'));
      else if (line.done) {
        if (pending!.kind === 'save') savedState = state;
        else state = after(state, pending!);
        pending = undefined;
      } else pending = line;
    }
    await timer;
    const [, signal] = (await gone) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');

    const found = sorted(await read(store));
    const allowed = pending ? [sorted(state), sorted(after(state, pending))] : [sorted(state)];
    expect(allowed).toContainEqual(found);
    state = new Map(found);
    if (pending) interrupted[pending.kind!] = (interrupted[pending.kind!] ?? 0) + 1;
    if (existsSync(path.join(saved, 'manifest.json'))) {
      const copy = sorted(await read(saved));
      const copies = [
        ...(savedState ? [sorted(savedState)] : []),
        ...(pending?.kind === 'save' ? [sorted(state)] : []),
      ];
      expect(copies).toContainEqual(copy);
      savedState = new Map(copy);
    } else expect(savedState).toBeUndefined();
  }
  console.log(`killed ${kills} times, in the middle of ${JSON.stringify(interrupted)}`);
  expect(Object.values(interrupted).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(kills / 2);
}, 3_600_000);
