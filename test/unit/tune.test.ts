/** The road, on models of two layers. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CrossEncoder,
  Retriever,
  trainTestSplit,
  tune,
  type TuneOptions,
  type TuneReport,
  type TuneStage,
} from 'flatrank';
import { afterAll, describe, expect, it } from 'vitest';
import { questions, tinyBert } from './tune-data.js';

const folder = mkdtempSync(join(tmpdir(), 'flatrank-tune-test-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const sts = questions(24).map(({ question, context }, i) => ({ texts: [question, context], label: (i % 6) / 5 }));
const options = (out: string): TuneOptions => ({
  data: questions(60),
  model: tinyBert,
  out: join(folder, out),
  testSize: 12,
  validationSize: 8,
  maxSeqLength: 48,
  biK: 8,
  crossK: 4,
  biEncoder: { learningRate: 1e-3, batchSize: 8 },
  crossEncoder: { learningRate: 1e-3, batchSize: 16, hardNegatives: 1, maxLength: 64 },
  sts: { data: sts, epochs: 1, batchSize: 8 },
  checkpointSaveSteps: 2,
});
const file = (out: string, name: string): string => readFileSync(join(folder, out, name), 'utf8');

/** A report without what depends on the clock. */
function timeless(report: unknown): unknown {
  return JSON.parse(JSON.stringify(report, (key, value: unknown) => (/seconds/i.test(key) ? undefined : value)));
}

const stages: TuneStage[] = [
  ...(['bm25', 'base', 'sts', 'sts-evaluation', 'bi-encoder', 'tuned', 'negatives'] as const),
  ...(['cross-encoder', 'pairs', 'validation', 'rerank', 'store'] as const),
];
let whole: TuneReport;

describe('tune', () => {
  it('goes the whole road, and leaves models, a store and reports', async () => {
    const seen = new Set<string>();
    whole = await tune({ ...options('whole'), onProgress: ({ stage }) => seen.add(stage) });
    expect([...seen]).toEqual(stages);
    expect(whole.systems.map(({ name }) => name)).toEqual(['bm25', 'base', 'sts', 'tuned', 'reranked', 'blended']);
    expect(whole.data).toMatchObject({ train: 40, validation: 8, test: 12, contexts: 60, crossEncoderQuestions: 40 });
    expect(whole.training['cross-encoder']).toMatchObject({ examples: 120, steps: 8 });
    expect(whole.sts).toMatchObject({ pairs: 3 });
    for (const { hitRates, mrr, questions, secondsPerQuery } of whole.systems) {
      expect(questions).toBe(12);
      expect(hitRates[4]).toBeGreaterThanOrEqual(hitRates[1]!);
      expect(mrr).toBeLessThanOrEqual(hitRates[4]!);
      expect(secondsPerQuery).toBeGreaterThan(0);
    }
    expect(timeless(JSON.parse(file('whole', 'report.json')))).toEqual(timeless(whole));
    expect(existsSync(join(folder, 'whole', 'checkpoints', 'bi-encoder'))).toBe(false);
  });

  it("makes a store that answers as the report's tuned and blended systems do", async () => {
    await using crossEncoder = await CrossEncoder.load(join(folder, 'whole/cross-encoder'));
    await using retriever = await Retriever.open(join(folder, 'whole/store'), { crossEncoder });
    expect(retriever.size).toBe(60);
    const { test } = trainTestSplit(questions(60), { testSize: 12, seed: 42 });
    const rate = (hits: boolean[]): number => hits.filter(Boolean).length / hits.length;
    const tuned = await Promise.all(
      test.map(async ({ question, context }) =>
        (await retriever.search(question, { k: 4 })).some(({ text }) => text === context),
      ),
    );
    const blended: boolean[] = [];
    for (const { question, context } of test) {
      const hits = await retriever.retrieve(question, { biK: 8, crossK: 4, blend: whole.blend.weight });
      blended.push(hits.some(({ text }) => text === context));
    }
    expect(rate(tuned)).toBe(whole.systems.find(({ name }) => name === 'tuned')!.hitRates[4]);
    expect(rate(blended)).toBe(whole.systems.find(({ name }) => name === 'blended')!.hitRates[4]);
  });

  it('writes an HTML report that asks nobody for anything', () => {
    const html = file('whole', 'report.html');
    expect(html).not.toMatch(/<script|<link|<img|@import|url\(|javascript:/i);
    // Names of namespaces are no requests.
    expect(html.match(/https?:\/\/[^"' ]+/g)?.filter((url) => !url.startsWith('http://www.w3.org/')) ?? []).toEqual([]);
    expect(html.match(/<svg /g)).toHaveLength(4);
    expect(html).not.toContain('NaN');
    const markdown = file('whole', 'report.md');
    for (const { label } of whole.systems) expect(markdown).toContain(`| ${label} `);
  });

  it('interrupted at every stage and started again, ends with the same report', { timeout: 300_000 }, async () => {
    for (const interrupted of stages) {
      const stop = new AbortController();
      const steps: TuneStage[] = ['sts', 'bi-encoder', 'cross-encoder'];
      const run = tune({
        ...options('parts'),
        signal: stop.signal,
        onProgress: ({ stage, done }) => {
          // Trainings are stopped in the middle, and everything else as it begins.
          if (stage === interrupted && (done > 1 || !steps.includes(stage))) stop.abort(new Error(`stopped: ${stage}`));
        },
      });
      await expect(run, interrupted).rejects.toThrow(`stopped: ${interrupted}`);
      expect(existsSync(join(folder, 'parts', 'report.json'))).toBe(false);
    }
    const report = await tune(options('parts'));
    expect(timeless(report)).toEqual(timeless(whole));
    const without = (html: string): string => html.replace(/\d+(\.\d+)? (ms|s|min)</g, '<');
    expect(without(file('parts', 'report.html'))).toBe(without(file('whole', 'report.html')));
    // Done is done: another call gives the same at once.
    const seen: string[] = [];
    expect(await tune({ ...options('parts'), onProgress: ({ stage }) => seen.push(stage) })).toEqual(report);
    expect(seen).toEqual([]);
  });

  it('goes on with no run of other options or other data', async () => {
    await expect(tune({ ...options('whole'), seed: 7 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(tune({ ...options('whole'), biK: 9 })).rejects.toThrow('Expected `biK` to be 8, as in the run');
    await expect(tune({ ...options('whole'), data: questions(61) })).rejects.toThrow('Expected `data` to be');
  });

  it('keeps all questions of a context on one side where it is asked to', async () => {
    const data = questions(60, 3);
    const report = await tune({
      ...options('contexts'),
      sts: undefined,
      crossEncoder: { maxSteps: 2 },
      biEncoder: { maxSteps: 2, batchSize: 8 },
      data,
      splitBy: 'context',
      testSize: 4,
      validationSize: 2,
      rerankQuestions: 5,
      searched: 'test',
    });
    expect(report.data).toMatchObject({ train: 42, validation: 6, test: 12, crossEncoderQuestions: 42, contexts: 20 });
    const reranked = report.systems.filter(({ questions }) => questions === 5).map(({ name }) => name);
    expect(reranked).toEqual(['bm25', 'base', 'tuned', 'reranked', 'blended']);
    expect(report.changes.map(({ questions }) => questions)).toEqual([12, 5, 5]);
  });

  it('starts from random weights, and reads files and BEIR', async () => {
    const quick = { maxSteps: 1 };
    const config = join(folder, 'config.json');
    writeFileSync(config, readFileSync(join(tinyBert, 'config.json')));
    const start = { config, tokenizer: tinyBert };
    const beir = join(folder, 'beir');
    mkdirSync(join(beir, 'qrels'), { recursive: true });
    const rows = questions(24);
    const lines = (values: object[]): string => values.map((value) => JSON.stringify(value)).join('\n');
    const documents = rows.map(({ context }, i) => ({ _id: `d${i}`, title: '', text: context }));
    writeFileSync(join(beir, 'corpus.jsonl'), lines([...documents, { _id: 'more', title: 'A', text: 'further one' }]));
    writeFileSync(
      join(beir, 'queries.jsonl'),
      lines(rows.map(({ question }, i) => ({ _id: `q${i}`, text: question }))),
    );
    const judged = (from: number, to: number): string =>
      ['query-id\tcorpus-id\tscore', ...rows.slice(from, to).map((_, i) => `q${from + i}\td${from + i}\t1`)].join('\n');
    writeFileSync(join(beir, 'qrels/train.tsv'), judged(0, 18));
    // Two documents answer the first test question.
    writeFileSync(join(beir, 'qrels/test.tsv'), `${judged(18, 24)}\nq18\td19\t1`);
    const common = { model: start, biEncoder: quick, crossEncoder: { ...quick, body: start }, biK: 5, crossK: 3 };
    const report = await tune({ ...common, data: beir, dataset: 'beir', out: join(folder, 'beir-out') });
    expect(report.data).toMatchObject({ test: 6, contexts: 25, train: 16, validation: 2 });
    expect(report.fingerprints.base).toBeNull();

    const csv = join(folder, 'pairs.csv');
    writeFileSync(
      csv,
      [
        'q,c',
        ...rows.map((r) => `"${r.question}","${r.context}"`),
        `"${rows[0]!.question}","${rows[0]!.context}"`,
      ].join('\n'),
    );
    const fromCsv = await tune({ ...common, data: csv, textFields: ['q', 'c'], out: join(folder, 'csv-out') });
    expect(fromCsv.data).toMatchObject({ duplicates: 1, test: 5, contexts: 24 });
  });

  it('says what is wrong', async () => {
    const base = options('wrong');
    const cases: [Partial<Record<keyof TuneOptions, unknown>>, string, string][] = [
      [{ data: [] }, 'ERR_INVALID_ARGUMENT', '`data`'],
      [{ data: 'nowhere.jsonl' }, 'ERR_NOT_FOUND', 'nowhere.jsonl'],
      [{ data: [{ question: 'a' }] }, 'ERR_INVALID_ARGUMENT', '`data[0].context`'],
      [{ model: '' }, 'ERR_INVALID_ARGUMENT', '`model`'],
      [{ crossK: 9, biK: 8 }, 'ERR_INVALID_ARGUMENT', '`biK`'],
      [{ biEncoder: { epochs: 0 } }, 'ERR_INVALID_ARGUMENT', '`biEncoder.epochs`'],
      [{ dataset: 'squad' }, 'ERR_INVALID_ARGUMENT', '`dataset`'],
      [{ data: questions(40, 20), testSize: 20 }, 'ERR_INVALID_ARGUMENT', "splitBy: 'context'"],
      [{ onProgress: 1 }, 'ERR_INVALID_ARGUMENT', '`onProgress`'],
    ];
    for (const [wrong, code, text] of cases) {
      const run = tune({ ...base, ...wrong } as TuneOptions);
      await expect(run, text).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    }
    expect(existsSync(join(folder, 'wrong'))).toBe(false);
  });
});
