import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

/** The built package's entry point. */
export const entry = fileURLToPath(new URL('../../dist/index.js', import.meta.url));

/** A folder for one test file, gone behind it. */
export function scratchFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-process-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Runs programs in processes of their own, each beginning with `prelude`. */
export function programRunner(
  prelude: string,
): (body: string, env?: Record<string, string>, flags?: string[]) => Promise<string> {
  const folder = scratchFolder();
  let count = 0;
  return async (body, env = {}, flags = []) => {
    const file = path.join(folder, `program-${count++}.mjs`);
    writeFileSync(file, prelude + body);
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, file], {
        env: { ...process.env, FLATRANK_MODEL: undefined, ...env }, // a model that a caller's shell names is not the test's
        timeout: 60_000,
      });
      return stdout.trim();
    } catch (error) {
      const { code, signal, stderr } = error as { code?: number; signal?: string; stderr?: string };
      return `died: ${signal ?? String(code)} ${stderr ?? ''}`;
    }
  };
}

/** Program text: how often a 50 ms timer of the main thread fires during some work, and how often it could. */
export const ticksDuring = `
async function ticksDuring(work) {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 50);
  const started = performance.now();
  await work();
  const elapsed = performance.now() - started;
  await new Promise((resolve) => setImmediate(resolve));
  clearInterval(timer);
  return { ticks, possible: elapsed / 50 };
}
async function blocking() {
  const end = performance.now() + 1000;
  while (performance.now() < end);
}
`;
