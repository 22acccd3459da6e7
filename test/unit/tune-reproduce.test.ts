/** The data and settings of the reproductions; the runs themselves take minutes and hours. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { trainTestSplit, type TuneData } from 'flatrank';
import { afterAll, describe, expect, it } from 'vitest';
import { reproduction } from '../../lib/tune/reproduce.js';

const shared = fileURLToPath(new URL('../../../shared/data', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'flatrank-reproduce-test-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('reproduction', () => {
  it("reference: KLUE's splits, and the settings that were published", async () => {
    const write = (name: string, n: number, record: (i: number) => object): void => {
      const lines = Array.from({ length: n }, (_, i) => JSON.stringify(record(i)));
      writeFileSync(join(folder, name), lines.join('\n'));
    };
    const sts = (i: number) => ({ sentence1: `a ${i}`, sentence2: `b ${i}`, label: (i % 51) / 10 });
    const mrc = (i: number) => ({ question: `question ${i}`, context: `context ${i}`, title: '', answers: null });
    write('klue-sts-train.jsonl', 100, sts);
    write('klue-sts-validation.jsonl', 20, sts);
    write('klue-mrc-train.jsonl', 50, mrc);
    write('klue-mrc-validation.jsonl', 1200, mrc);
    const options = await reproduction('reference', { data: folder });
    expect(options).toMatchObject({
      model: 'klue/roberta-base',
      ...{ searched: 'test', metric: 'l2', biK: 30, crossK: 10, pairQuestions: 100, seed: 42 },
      crossEncoder: { body: 'klue/roberta-small' },
      sts: { epochs: 4, batchSize: 16, warmupSteps: 100 },
    });
    const { train, test } = options.data as TuneData;
    expect([train.length, test.length]).toEqual([50, 1000]);
    const validation = Array.from({ length: 1200 }, (_, i) => mrc(i).question);
    expect(test.map(({ question }) => question)).toEqual(trainTestSplit(validation, { testSize: 1000, seed: 42 }).test);
    expect([options.sts!.data.length, options.sts!.dev!.length]).toEqual([90, 20]);
  });

  it.skipIf(!existsSync(shared))('english: test pages are held out whole', async () => {
    const { train, test, validation, corpus } = (await reproduction('english', { data: shared })).data as TuneData;
    expect([train.length, validation!.length, test.length, new Set(corpus).size]).toEqual([1600, 200, 500, 3332]);
    const rows = [...train, ...validation!, ...test];
    for (const key of ['question', 'context'] as const)
      expect(new Set(rows.map((row) => row[key])).size).toBe(rows.length);
  });

  it.skipIf(!existsSync(shared))("small: KorQuAD's published split", async () => {
    const options = await reproduction('small', { data: shared });
    const { train, test } = options.data as TuneData;
    expect([train.length, test.length, options.sts!.data.length, options.sts!.dev!.length]).toEqual([
      4774, 1000, 10_501, 519,
    ]);
  });
});
