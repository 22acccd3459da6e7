/** `flatrank tune` and `flatrank reproduce` in processes of their own. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { questions, tinyBert } from '../unit/tune-data.js';
import { scratchFolder } from './run.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = scratchFolder();
const args = ['tune', 'pairs.jsonl', '-m', tinyBert, '--max-length', '48', '--bi-k', '8', '--cross-k', '4'];
const sizes = ['--test-size', '12', '--validation-size', '8', '--batch-size', '8', '--cross-max-steps', '4'];
const command = [main, ...args, ...sizes, '--hard-negatives', '1', '--cross-head-learning-rate', '1e-3'];

beforeAll(() => {
  const lines = questions(60).map((row) => JSON.stringify(row));
  writeFileSync(path.join(folder, 'pairs.jsonl'), lines.join('\n'));
});

function flatrank(...more: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, more, { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? String(error.signal)) : 0, stdout, stderr });
    });
  });
}

/** Runs the command and kills it a while after it has named a stage. Resolves to whether it was killed. */
function killed(out: string, stage: string, delayMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...command, '--out', out, '--verbose'], { cwd: folder, stdio: 'pipe' });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (text.split('\n').includes(stage)) setTimeout(() => child.kill('SIGKILL'), delayMs);
    });
    child.on('exit', (_code, signal) => {
      resolve(signal === 'SIGKILL');
    });
  });
}

/** A report without what depends on the clock. */
function timeless(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => (/seconds/i.test(key) ? undefined : value));
}

describe('flatrank tune', () => {
  it('killed in any stage and started again, ends with the same report', { timeout: 300_000 }, async () => {
    const whole = await flatrank(...command, '--out', 'whole', '--json');
    expect([whole.code, whole.stderr]).toEqual([0, '']);
    let kills = 0;
    const moments: [string, number][] = [
      ['base', 5],
      ['bi-encoder', 400],
      ['cross-encoder', 300],
      ['rerank', 10],
      ['store', 0],
    ];
    for (const [stage, delay] of moments) if (await killed('killed', stage, delay)) kills++;
    expect(kills).toBeGreaterThan(2);
    const last = await flatrank(...command, '--out', 'killed', '--json');
    expect([last.code, last.stderr]).toEqual([0, '']);
    expect(timeless(last.stdout)).toEqual(timeless(whole.stdout));
    expect(timeless(readFileSync(path.join(folder, 'killed/report.json'), 'utf8'))).toEqual(timeless(whole.stdout));
  });

  it('prints the table, and the store answers on the command line', async () => {
    const { code, stdout } = await flatrank(...command, '--out', 'whole');
    expect(code).toBe(0);
    expect(stdout).toMatch(/\| stage +\| hit@1 \| hit@4 \| MRR@4 \| a query/);
    for (const label of ['BM25', 'base', 'fine-tuned', 'reranked and blended']) expect(stdout).toContain(`| ${label} `);
    const search = [
      main,
      'search',
      'whole/store',
      questions(1)[0]!.question,
      '--rerank',
      'whole/cross-encoder',
      '--json',
    ];
    const found = await flatrank(...search);
    expect(JSON.parse(found.stdout).hits.length).toBeGreaterThan(0);
  });

  it('goes on where nobody reads what it says', async () => {
    const unread = [...command, '--max-steps', '1', '--out', 'unread', '--verbose'];
    const child = spawn(process.execPath, unread, { cwd: folder, stdio: 'pipe' });
    child.stderr.destroy();
    child.stdout.destroy();
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
    expect(existsSync(path.join(folder, 'unread/report.json'))).toBe(true);
  });

  it('says what a run would take, and writes nothing', async () => {
    const { code, stdout, stderr } = await flatrank(...command, '--out', 'dry', '--dry-run', '--json');
    expect([code, stderr]).toEqual([0, '']);
    const { seconds, total, steps } = JSON.parse(stdout);
    expect(steps).toEqual({ 'bi-encoder': 5, 'cross-encoder': 4 });
    expect(Object.keys(seconds)).toEqual([
      'base',
      'bi-encoder',
      'tuned',
      'negatives',
      'cross-encoder',
      'validation',
      'rerank',
      'store',
    ]);
    expect(total).toBeGreaterThan(0);
    expect(existsSync(path.join(folder, 'dry'))).toBe(false);
    const table = await flatrank(...command, '--out', 'dry', '--dry-run');
    expect(table.stdout).toContain('| in all');
  });

  it('says what is wrong', async () => {
    const cases: [string[], number, string][] = [
      [['tune', 'nowhere.jsonl', '-m', tinyBert, '-o', 'x'], 1, 'ERR_NOT_FOUND'],
      [['tune', 'pairs.jsonl', '-m', tinyBert, '-o', 'x', '--texts', 'a,b'], 1, 'ERR_BAD_FILE'],
      [['tune', 'pairs.jsonl', '-m', tinyBert, '-o', 'x', '--dataset', 'squad'], 2, 'klue-mrc'],
      [['tune', 'pairs.jsonl', '-m', tinyBert], 2, '--out'],
      [['reproduce', '--small'], 2, '--data'],
      [['reproduce', '--small', '--english', '--data', '.'], 2, 'exclude'],
      [['reproduce', '--english', '--data', 'nowhere'], 1, 'ERR_NOT_FOUND'],
    ];
    for (const [wrong, expected, text] of cases) {
      const { code, stderr } = await flatrank(main, ...wrong);
      expect([wrong[0], code, stderr]).toEqual([wrong[0], expected, expect.stringContaining(text)]);
    }
    expect(existsSync(path.join(folder, 'x'))).toBe(false);
  });
});
