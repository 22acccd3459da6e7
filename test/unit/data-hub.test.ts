import { readFileSync } from 'node:fs';
import { loadBeir, loadKlueMrc, loadKlueSts } from 'flatrank';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { HubServer, commit } from './hub-server.js';

const parquet = readFileSync(new URL('../fixtures/parquet/zstd.parquet', import.meta.url));
const text = (content: string): Buffer => Buffer.from(content);

let server: HubServer;
beforeEach(async () => {
  server = await HubServer.start();
  const { cache } = await server.settings();
  const before = { ...process.env };
  onTestFinished(() => {
    process.env = before;
  });
  Object.assign(process.env, { HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: cache });
  delete process.env['HF_HUB_OFFLINE'];
});

test('of a dataset of several parts only the files of a part and split are fetched', async () => {
  const files = {
    'README.md': text('#'),
    'mrc/train-00000-of-00001.parquet': parquet,
    'mrc/validation-00000-of-00001.parquet': parquet,
    'sts/train.csv': text('sentence1,sentence2,label\na,b,1\n'),
    'sts/validation.csv': text('sentence1,sentence2,label\na,b,1\na,c,2\n'),
  };
  server.repos['datasets/klue/klue'] = { refs: { main: commit }, files };
  expect(await loadKlueMrc('klue/klue', { split: 'validation' })).toHaveLength(9);
  expect(await loadKlueSts('klue/klue', { split: 'validation' })).toHaveLength(2);
  expect(server.seen.some(({ url }) => url.includes('train') || url.includes('README'))).toBe(false);
});

test("BEIR's judgements lie in a dataset of their own", async () => {
  const corpus = text('{"_id":"1","title":"","text":"a"}\n');
  const queries = text('{"_id":"q","text":"a"}\n');
  const judged = text('query-id\tcorpus-id\tscore\nq\t1\t1\n');
  server.repos['datasets/BeIR/toy'] = {
    refs: { main: commit },
    files: { 'corpus.jsonl': corpus, 'queries.jsonl': queries },
  };
  server.repos['datasets/BeIR/toy-qrels'] = { refs: { main: commit }, files: { 'test.tsv': judged } };
  expect((await loadBeir('BeIR/toy')).qrels).toEqual(new Map([['q', new Map([['1', 1]])]]));
});

test('a dataset that is not there', async () => {
  await expect(loadKlueSts('nobody/nothing')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
});
