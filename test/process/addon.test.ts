import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';
import { entry, programRunner, ticksDuring } from './run.js';

const run = programRunner(`
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import { IndexFlatL2 } from ${JSON.stringify(entry)};
const random = (n) => Float32Array.from({ length: n }, Math.random);
async function filled(n, d) {
  const index = new IndexFlatL2(d);
  await index.add(random(n * d));
  return index;
}
${ticksDuring}`);

describe('the addon in a process', () => {
  it('lets a script end that forgets dispose()', async () => {
    expect(await run("await filled(1000, 16); console.log('end');")).toBe('end');
  });

  it('works in a script on the command line', () => {
    const model = JSON.stringify(path.join(goldenDirectory, 'models/tiny-bert'));
    const script = `import { SentenceTransformer } from ${JSON.stringify(entry)};
      console.log((await SentenceTransformer.load(${model})).dimension);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect([stdout.trim(), stderr]).toEqual(['32', '']);
  });

  it('keeps a script alive until its searches have ended', async () => {
    const body =
      'const index = await filled(20000, 64); index.search(random(64 * 500), 10).then(() => console.log("found"));';
    expect(await run(body)).toBe('found');
  });

  it('survives process.exit() while it works', async () => {
    const body = `
      const index = await filled(50000, 64);
      for (let i = 0; i < 8; i++) index.search(random(64 * 2000), 100);
      void index.add(random(64 * 50000));
      setTimeout(() => { console.log('leaving'); process.exit(0); }, 20);`;
    expect(await run(body)).toBe('leaving');
  });

  it('survives worker threads that are terminated while it works for them', async () => {
    const body = `
      if (isMainThread) {
        for (let round = 0; round < 3; round++) {
          const workers = Array.from({ length: 3 }, () => new Worker(new URL(import.meta.url)));
          await Promise.all(workers.map((w) => new Promise((resolve) => w.once('message', resolve))));
          await Promise.all(workers.map((w) => w.terminate()));
        }
        const index = await filled(1000, 16); // the code is still there when its last worker is gone
        console.log((await index.search(random(16), 1)).labels.length);
      } else {
        const index = await filled(20000, 64);
        for (let i = 0; i < 4; i++) index.search(random(64 * 2000), 100).catch(() => {});
        parentPort.postMessage('working');
      }`;
    expect(await run(body)).toBe('1');
  });

  it('survives worker threads that are terminated while answers and errors come back to them', async () => {
    // Terminated at any moment of that, an environment takes no answer and throws no error any more.
    const body = `
      if (isMainThread) {
        for (let round = 0; round < 30; round++) {
          const workers = Array.from({ length: 3 }, () => new Worker(new URL(import.meta.url)));
          await Promise.all(workers.map((w) => new Promise((resolve) => w.once('message', resolve))));
          await new Promise((resolve) => setTimeout(resolve, round % 12));
          await Promise.all(workers.map((w) => w.terminate()));
        }
        console.log('alive');
      } else {
        const index = await filled(2000, 16);
        parentPort.postMessage('working');
        for (let i = 0; i < 8; i++)
          void (async () => {
            for (;;) {
              await index.search(random(16 * 8), 5);
              await index.search(new Float32Array(3), 5).catch(() => {});
              try { index.reconstruct(99999); } catch {}
            }
          })();
      }`;
    expect(await run(body)).toBe('alive');
  });

  it('works in several worker threads at once', async () => {
    const body = `
      if (isMainThread) {
        const answers = await Promise.all(Array.from({ length: 4 }, () => {
          const worker = new Worker(new URL(import.meta.url));
          return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
        }));
        console.log(answers.join(' '));
      } else {
        const index = new IndexFlatL2(4);
        await index.add(Float32Array.from({ length: 400 }, (_, i) => i));
        const { labels } = await index.search(Float32Array.of(200, 201, 202, 203), 1);
        parentPort.postMessage(labels[0]);
      }`;
    expect(await run(body)).toBe('50 50 50 50');
  });

  it('frees what garbage collection finds, also while searches run', async () => {
    const body = `
      for (let i = 0; i < 60; i++) {
        const index = await filled(20000, 64); // 5 MB each
        void index.search(random(64), 10);
        if (i % 5 === 4) { gc(); await new Promise(setImmediate); }
      }
      gc(); await new Promise((resolve) => setTimeout(resolve, 50)); gc();
      console.log(process.memoryUsage().rss < 250e6 ? 'level' : process.memoryUsage().rss);`;
    expect(await run(body, {}, ['--expose-gc'])).toBe('level');
  });

  it('honours FLATRANK_ISA and refuses one it does not know', async () => {
    const body = "import { native } from './native-path.js'; console.log(native().isa);".replace(
      './native-path.js',
      fileURLToPath(new URL('../../dist/native.js', import.meta.url)),
    );
    expect(await run(body, { FLATRANK_ISA: 'scalar' })).toBe('scalar');
    const refused = 'try { new IndexFlatL2(2); } catch (error) { console.log(error.code, error.message); }';
    expect(await run(refused, { FLATRANK_ISA: 'sse9' })).toMatch(/^ERR_UNSUPPORTED .*FLATRANK_ISA.*sse9/);
  });

  it('gives the same answers with every instruction set and number of threads', async () => {
    const body = `
      let state = 7;
      const next = () => { state = (Math.imul(state, 1664525) + 1013904223) | 0; return (state >>> 8) / 2 ** 24; };
      const d = 100, index = new IndexFlatL2(d);
      await index.add(Float32Array.from({ length: 3000 * d }, next));
      const { distances, labels } = await index.search(Float32Array.from({ length: 20 * d }, next), 10);
      console.log(Buffer.from(distances.buffer).toString('base64'), [...labels].join());`;
    const reference = await run(body, { FLATRANK_ISA: 'scalar', FLATRANK_THREADS: '1' });
    expect(reference).toContain(',');
    expect(await run(body)).toBe(reference);
    expect(await run(body, { FLATRANK_THREADS: '5' })).toBe(reference);
  });

  it('keeps the event loop beating during a search that a blocking one would stop', async () => {
    const body = `
      const index = await filled(100000, 768);
      const queries = random(768 * 64);
      const search = await ticksDuring(async () => {
        const end = performance.now() + 1000;
        do await index.search(queries, 10); while (performance.now() < end);
      });
      console.log(JSON.stringify({ search, blocking: await ticksDuring(blocking) }));`;
    const { search, blocking } = JSON.parse(await run(body)) as Record<string, { ticks: number; possible: number }>;
    expect(blocking!.ticks).toBeLessThanOrEqual(1);
    expect(search!.ticks).toBeGreaterThan(search!.possible / 2);
  });
});
