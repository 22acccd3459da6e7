/** A run that is killed again and again ends with the weights of one that was not, to the bit. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { goldenDirectory as golden } from '../golden/golden-directory.js';

const script = fileURLToPath(new URL('./fit-child.mjs', import.meta.url));
let folder = '';
let model = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'flatrank-kill-'));
  model = join(folder, 'model');
  cpSync(join(golden, 'models/tiny-bert'), model, { recursive: true });
  // The recorded models drop nothing.
  const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'));
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.1;
  writeFileSync(join(model, 'config.json'), JSON.stringify(config));
  const { rows } = JSON.parse(readFileSync(join(golden, 'train.json'), 'utf8'));
  writeFileSync(join(folder, 'rows.json'), JSON.stringify({ rows: rows.slice(0, 120) }));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the child; kills it a moment after `steps` steps. Resolves to its digest, or the steps it came to. */
function run(name: string, steps: number, delayMs: number): Promise<{ digest: string | undefined; seen: number[] }> {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, model, place], { stdio: ['ignore', 'pipe', 'inherit'] });
    const seen: number[] = [];
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (const [, step] of chunk.matchAll(/step (\d+)/g)) {
        seen.push(Number(step));
        if (seen.length === steps) setTimeout(() => child.kill('SIGKILL'), delayMs);
      }
    });
    child.on('exit', (code, signal) => {
      const digest = /^digest (.*)$/m.exec(text)?.[1];
      if (signal === null && digest === undefined) reject(new Error(`the child ended with ${code}`));
      else resolve({ digest, seen });
    });
  });
}

it('ends with the same weights after SIGKILL at any moment, dropout on', { timeout: 300_000 }, async () => {
  const whole = await run('whole', Infinity, 0);
  expect(whole.digest).toBeDefined();
  expect(whole.seen.length).toBeGreaterThan(12);
  let digest: string | undefined;
  let kills = 0;
  for (const delay of [0, 5, 12, 30, 3]) {
    const part = await run('killed', 4, delay);
    digest = part.digest;
    if (digest !== undefined) break;
    kills++;
  }
  expect(kills).toBeGreaterThan(2);
  digest ??= (await run('killed', Infinity, 0)).digest;
  expect(digest).toBe(whole.digest);
  // Nothing half-written is left, and the log has every step once.
  expect(readdirSync(join(folder, 'killed/checkpoints')).every((name) => /^checkpoint-\d+$/.test(name))).toBe(true);
  const log = readFileSync(join(folder, 'killed/log.jsonl'), 'utf8').trim().split('\n');
  const steps = log.map((line) => JSON.parse(line)).filter((line) => line.loss !== undefined);
  expect(steps.map(({ step }) => step)).toEqual(whole.seen);
});
