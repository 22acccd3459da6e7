import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';
import { entry, programRunner, ticksDuring } from './run.js';

const model = (name: string): string => JSON.stringify(path.join(goldenDirectory, 'models', name));

const run = programRunner(`
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import { CrossEncoder, SentenceTransformer } from ${JSON.stringify(entry)};
const load = (o) => SentenceTransformer.load(${model('tiny-bert')}, o);
const texts = (n, words = 60) => Array.from({ length: n }, (_, i) => ('text ' + i + ' of many ').repeat(words / 4));
${ticksDuring}`);

describe('a model in a process', () => {
  it('lets a script end that forgets dispose()', async () => {
    expect(await run("const m = await load(); await m.encode('a'); console.log(m.dimension);")).toBe('32');
  });

  it('keeps a script alive until its calls have ended', async () => {
    expect(await run('const m = await load(); m.encode(texts(300)).then((x) => console.log(x.rows));')).toBe('300');
  });

  // Without care for it, two such exits of five end in SIGABRT.
  it.each([60, 80, 100, 120, 140, 160])('survives process.exit() after %i ms of work', async (ms) => {
    const body = `
      const m = await load();
      for (let i = 0; i < 4; i++) m.encode(texts(2000));
      setTimeout(() => { console.log('leaving'); process.exit(0); }, ${ms});`;
    expect(await run(body)).toBe('leaving');
  });

  // While a model runs it might not: onnxruntime-node's binding throws through Node's C callbacks there.
  it('works in worker threads, and survives their termination at rest', async () => {
    const body = `
      if (isMainThread) {
        const workers = Array.from({ length: 2 }, () => new Worker(new URL(import.meta.url)));
        const answers = await Promise.all(workers.map((w) => new Promise((resolve) => w.once('message', resolve))));
        await Promise.all(workers.map((w) => w.terminate()));
        const m = await load();
        console.log(answers.join(' '), (await m.encode(texts(3))).rows);
      } else {
        const m = await load();
        const { rows } = await m.encode(texts(5));
        parentPort.postMessage(rows);
      }`;
    expect(await run(body)).toBe('5 5 3');
  });

  it('frees what it holds: many models loaded and disposed, many shapes encoded', async () => {
    const body = `
      for (let i = 0; i < 12; i++) { const m = await load(); await m.encode(texts(20)); await m.dispose(); }
      const m = await load();
      const rss = () => process.memoryUsage().rss / 1e6;
      for (let i = 0; i < 1500; i++) await m.encode(texts(1 + (i * 7) % 13, 4 * (1 + (i % 15))));
      const before = rss();
      for (let i = 0; i < 1500; i++) await m.encode(texts(1 + (i * 7) % 13, 4 * (1 + (i % 15))));
      const grown = rss() - before;
      console.log(grown < 30 ? 'level' : 'grown by ' + grown + ' MB');`;
    expect(await run(body)).toBe('level');
  });

  it('keeps the event loop beating while it encodes 1,000 texts, where blocking work would stop it', async () => {
    const body = `
      const m = await load();
      const list = texts(1000);
      const encode = await ticksDuring(async () => {
        const end = performance.now() + 1000;
        do await m.encode(list); while (performance.now() < end);
      });
      console.log(JSON.stringify({ encode, blocking: await ticksDuring(blocking) }));`;
    const { encode, blocking } = JSON.parse(await run(body)) as Record<string, { ticks: number; possible: number }>;
    expect(blocking!.ticks).toBeLessThanOrEqual(1);
    expect(encode!.ticks).toBeGreaterThan(encode!.possible / 2);
  });

  it('answers a short query during a long encode after one batch at most', async () => {
    // The long call reports after every batch, so the reports that come while a query runs count batches. One batch may be
    // under way when the query arrives, and the report of the one before in flight. The median, as this thread may be
    // held up between its look at the count and its query; the scheduler's own test has the strict order.
    const body = `
      const m = await load();
      let batches = 0, running = true;
      const o = { batchTokens: 4096, onProgress: () => batches++ };
      const long = m.encode(texts(6000), o).then(() => { running = false; });
      while (batches < 3) await new Promise(setImmediate);
      const waits = [];
      while (running && waits.length < 50) {
        const before = batches;
        await m.encode('a short query');
        if (running) waits.push(batches - before);
      }
      waits.sort((a, b) => a - b);
      console.log(waits.length >= 10, waits[waits.length >> 1] <= 2 ? 'one batch' : waits.join());
      await long;`;
    expect(await run(body)).toBe('true one batch');
  });
});
