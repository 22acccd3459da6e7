import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Matrix, Retriever } from 'flatrank';
import { expect, it } from 'vitest';
import { entry, scratchFolder } from './run.js';

const folder = scratchFolder();
const store = path.join(folder, 'store');
const rows = (texts: readonly string[]): Promise<Matrix> =>
  Promise.resolve(new Matrix(new Float32Array(texts.length * 2).fill(1), texts.length, 2));
const encoder = { dimension: 2, encodeQuery: rows, encodeDocument: rows };

/** Writes to the store, says so, and stays. */
const writer = `
import { Matrix, Retriever } from ${JSON.stringify(entry)};
const rows = async (texts) => new Matrix(new Float32Array(texts.length * 2).fill(1), texts.length, 2);
const retriever = await Retriever.open(process.argv[2], { encoder: { dimension: 2, encodeQuery: rows, encodeDocument: rows } });
await retriever.add(['from the other process']);
console.log('holding');
setInterval(() => undefined, 1000);
`;

it('a writer in another process is named; one that was killed is in nobody’s way; readers are neither', async () => {
  const program = path.join(folder, 'holder.mjs');
  writeFileSync(program, writer);
  {
    await using empty = await Retriever.create({ encoder });
    await empty.save(store);
  }
  const child = spawn(process.execPath, [program, store], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  await once(createInterface({ input: child.stdout }), 'line');

  await using retriever = await Retriever.open(store, { encoder });
  expect((await retriever.search('q')).map(({ text }) => text)).toEqual(['from the other process']);
  await expect(retriever.add(['mine'])).rejects.toMatchObject({
    code: 'ERR_LOCKED',
    message: expect.stringContaining(`process ${child.pid!} on `),
  });
  expect(JSON.parse(readFileSync(path.join(store, 'lock'), 'utf8'))).toMatchObject({ pid: child.pid });

  child.kill('SIGKILL');
  await gone;
  expect(existsSync(path.join(store, 'lock'))).toBe(true);
  await retriever.add(['mine']);
  expect(retriever.size).toBe(2);
  expect(JSON.parse(readFileSync(path.join(store, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid });
});
