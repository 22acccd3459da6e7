/** `flatrank train` in a process of its own. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { beforeAll, describe, expect, it } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';
import { scratchFolder } from './run.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const model = path.join(goldenDirectory, 'models/tiny-bert');
const folder = scratchFolder();

beforeAll(() => {
  const { rows } = JSON.parse(readFileSync(path.join(goldenDirectory, 'train.json'), 'utf8'));
  const write = (name: string, record: (row: any, i: number) => object): void => {
    const lines = rows.slice(0, 80).map((row: any, i: number) => JSON.stringify(record(row, i)));
    writeFileSync(path.join(folder, name), lines.join('\n'));
  };
  write('sts.jsonl', ([sentence1, sentence2, score]) => ({ sentence1, sentence2, score }));
  write('pairs.jsonl', ([anchor, positive], i) => ({ anchor: `${anchor} ${i}`, positive: `${positive} ${i}` }));
  write('classes.jsonl', ([sentence1, sentence2], i) => ({ sentence1, sentence2, label: i % 3 }));
  write('labels.jsonl', ([sentence1, sentence2], i) => ({ sentence1, sentence2, label: i % 2 }));
});

function train(...args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, 'train', ...args, ...(args.includes('-m') ? [] : ['-m', model])],
      { cwd: folder },
      (error, stdout, stderr) => {
        resolve({ code: error ? (error.code ?? String(error.signal)) : 0, stdout, stderr });
      },
    );
  });
}

describe('flatrank train', () => {
  it('sts: writes the model, the log and the curve; --resume has nothing left to do', async () => {
    const args = ['sts', 'sts.jsonl', '--out', 'sts', '--test-size', '16', '--epochs', '2', '--learning-rate', '1e-3'];
    const all = [...args, '--matryoshka', '32,16', '--checkpoints', 'checkpoints', '--evaluation-steps', '3', '--json'];
    const { code, stdout, stderr } = await train(...all);
    expect([code, stderr]).toEqual([0, '']);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ steps: 8, epochs: 2 });
    expect(report.evaluations.map(({ step }: { step: number }) => step)).toEqual([3, 4, 6, 8]);
    for (const name of ['training_log.jsonl', 'training_report.json', 'training_curve.svg', 'training_curve.png'])
      expect(existsSync(path.join(folder, 'sts', name)), name).toBe(true);
    await using tuned = await SentenceTransformer.load(path.join(folder, 'sts'));
    expect(tuned.dimension).toBeGreaterThan(0);
    const again = await train(...all, '--resume');
    expect(JSON.parse(again.stdout)).toMatchObject({ steps: 8, bestScore: report.bestScore });
  });

  it('mnr: pairs, cached', async () => {
    const options = ['--loss', 'cached-mnr', '--mini-batch-size', '4', '--test-size', '16', '--symmetric'];
    const { code, stdout } = await train('mnr', 'pairs.jsonl', '--out', 'mnr', ...options);
    expect([code, stdout.split('\n')[0]]).toEqual([0, expect.stringMatching(/^4 steps in/)]);
  });

  it('cross: a body without a head gets one', async () => {
    const { code } = await train(
      'cross',
      'labels.jsonl',
      '--out',
      'cross',
      '--max-steps',
      '2',
      '--freeze',
      'embeddings',
    );
    expect(code).toBe(0);
    await using cross = await CrossEncoder.load(path.join(folder, 'cross'));
    expect(await cross.predict([['a', 'b']])).toHaveLength(1);
  });

  it('cross: with more labels than one they are classes, of a new head and of the model’s own', async () => {
    const args = ['cross', 'classes.jsonl', '--max-steps', '1', '--test-size', '16', '--json'];
    for (const [out, ...rest] of [
      ['three', '--num-labels', '3'],
      ['three-again', '-m', path.join(folder, 'three')],
    ]) {
      const { code, stdout, stderr } = await train(...args, '--out', out!, ...rest);
      expect([code, stderr]).toEqual([0, '']);
      expect(JSON.parse(stdout).loss).toBeGreaterThan(0.9);
    }
  });

  it('says what is wrong', async () => {
    const cases: [string[], number, string][] = [
      [['sts', 'pairs.jsonl', '--out', 'x'], 1, 'ERR_BAD_FILE'],
      [['sts', 'nowhere.jsonl', '--out', 'x'], 1, 'ERR_NOT_FOUND'],
      [['sts', 'sts.jsonl', '--out', 'x', '--freeze', 'e,p,enc'], 1, 'ERR_INVALID_ARGUMENT'],
      [['sts', 'sts.jsonl'], 2, '--out'],
      [['mnr', 'pairs.jsonl', '--out', 'x', '--loss', 'cosine'], 2, 'cached-mnr'],
    ];
    for (const [args, expected, text] of cases) {
      const { code, stderr } = await train(...args);
      expect([args[0], code, stderr]).toEqual([args[0], expected, expect.stringContaining(text)]);
    }
  });
});
