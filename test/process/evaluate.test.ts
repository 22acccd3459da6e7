/** `flatrank evaluate` as a program, over the small models of the golden fixtures. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';
import { file, folder } from '../unit/data-files.js';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const model = join(goldenDirectory, 'models', 'tiny-bert');
const crossEncoder = join(goldenDirectory, 'models', 'tiny-bert-cross');

function evaluate(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [cli, 'evaluate', ...args, '--model', model], { encoding: 'utf8' });
}

function systems(...args: string[]): any {
  const { status, stdout, stderr } = evaluate(...args, '--json');
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

const squad = {
  data: [
    {
      title: 'T',
      paragraphs: [
        { context: 'a dog barks', qas: [{ id: '1', question: 'what barks' }] },
        { context: 'the cat sleeps', qas: [{ id: '2', question: 'what sleeps' }] },
      ],
    },
  ],
};
const scores = file('sts/sts-test.tsv', 'score\tsentence1\tsentence2\n5\ta\ta\n1.5\ta\tb\n0.5\t"b\tccc\n');
const labels = file('pairs.csv', 'one,two,same\na,a,1\na,b,0\nc,c,1\n');
const questions = file('questions.json', JSON.stringify(squad));
file('beir/corpus.jsonl', '{"_id":"d1","title":"","text":"a dog barks"}\n{"_id":"d2","text":"the cat"}\n');
file('beir/queries.jsonl', '{"_id":"q","text":"what barks"}\n');
file('beir/qrels/test.tsv', 'query-id\tcorpus-id\tscore\nq\td1\t1\n');

describe('flatrank evaluate', () => {
  test('scores, with a cross-encoder beside', () => {
    const result = systems(scores, '--rerank', crossEncoder);
    expect(result).toMatchObject({ task: 'sts', size: 3 });
    expect(Object.keys(result.systems['bi-encoder'])).toContain('spearman_cosine');
    expect(Object.keys(result.systems['cross-encoder'])).toEqual(['pearson', 'spearman']);
    expect(systems(join(folder, 'sts'), '--split', 'test').systems['bi-encoder']).toEqual(result.systems['bi-encoder']);
  });

  test('labels, in a table', () => {
    const { status, stdout } = evaluate(labels, '--texts', 'one,two', '--label', 'same');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^3 pairs\n\n +bi-encoder\ncosine_accuracy +1\.0000\n/);
  });

  test('questions, reranked, beside BM25', () => {
    const { task, systems: measured } = systems(questions, '--rerank', crossEncoder, '-k', '1');
    expect(task).toBe('questions');
    expect(Object.keys(measured)).toEqual(['bi-encoder', 'reranked', 'bm25']);
    expect(measured.reranked).toMatchObject({ 'uncut_hit_rate@2': 1 });
    expect(measured.bm25).toEqual({ 'hit_rate@1': 1, 'mrr@1': 1 });
  });

  test('a BEIR directory', () => {
    const { task, size, systems: measured } = systems(join(folder, 'beir'), '--rerank', crossEncoder);
    expect([task, size]).toEqual(['beir', 1]);
    expect(measured.bm25['ndcg@10']).toBe(1);
    expect(measured['bi-encoder']['recall@10']).toBe(1);
    expect(measured.reranked['recall@10']).toBe(1);
  });

  test('what it cannot read it names', () => {
    const missing = evaluate(join(folder, 'none.csv'));
    expect([missing.status, missing.stdout]).toEqual([1, '']);
    expect(missing.stderr).toContain('(ERR_NOT_FOUND)');
    expect(evaluate(labels).stderr).toContain(`${labels}:2 to be a record with two texts`);
    expect(evaluate(labels, '--task', 'nonsense').status).toBe(2);
  });
});
