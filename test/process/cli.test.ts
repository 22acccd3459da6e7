import { execFile, spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { SentenceTransformer } from 'flatrank';
import { goldenDirectory } from '../golden/golden-directory.js';
import { scratchFolder } from './run.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const model = path.join(goldenDirectory, 'models/tiny-bert');
const crossModel = path.join(goldenDirectory, 'models/tiny-bert-cross');
const folder = scratchFolder();

const records = [
  { id: 'first', text: 'the river is deep', lang: 'en' },
  { text: 'a bridge over the river' },
  { id: 'third', text: 'the market opens at nine' },
];

beforeAll(() => {
  const jsonl = records.map((record) => JSON.stringify(record)).join('\n');
  writeFileSync(path.join(folder, 'docs.jsonl'), jsonl);
  writeFileSync(path.join(folder, 'docs.jsonl.gz'), gzipSync(jsonl));
  writeFileSync(path.join(folder, 'table.csv'), 'key,body\na,"one, quoted"\nb,two\n');
  writeFileSync(path.join(folder, 'notes.txt'), 'A paragraph.\n\nAnother paragraph.\n');
  writeFileSync(path.join(folder, 'guide.md'), '# Guide\n\nIntro.\n\n## Install\n\nRun it.\n');
  writeFileSync(path.join(folder, 'broken.jsonl'), '{"text": "fine"}\n{"text": \n');
  writeFileSync(path.join(folder, 'fake.jsonl.gz'), 'not gzip');
});

interface Outcome {
  code: number | string;
  stdout: string;
  stderr: string;
}

function flatrank(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? String(error.signal)) : 0, stdout, stderr });
    });
  });
}

describe('flatrank search', () => {
  it('prints one JSON document, in a pipe nothing else', async () => {
    const { code, stdout, stderr } = await flatrank('search', 'river', 'docs.jsonl', '-m', model, '--json');
    expect([code, stderr]).toEqual([0, '']);
    const { question, documents, truncated, hits } = JSON.parse(stdout);
    expect([question, documents, truncated]).toEqual(['river', 3, 0]);
    expect(hits.map((hit: { rank: number }) => hit.rank)).toEqual([1, 2, 3]);
    const scores = hits.map((hit: { score: number }) => hit.score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    const first = hits.find((hit: { id: string }) => hit.id === 'first');
    expect([first.text, first.metadata]).toEqual(['the river is deep', { lang: 'en' }]);
  });

  it('reads every kind of file, with ids path:line where there are none', async () => {
    const files = ['docs.jsonl.gz', 'notes.txt', 'guide.md'];
    const { stdout } = await flatrank('search', 'a question', ...files, '-m', model, '--json');
    const ids = JSON.parse(stdout).hits.map((hit: { id: string }) => hit.id);
    expect(ids.sort()).toEqual(['docs.jsonl.gz:2', 'first', 'guide.md:1', 'guide.md:5', 'notes.txt:1', 'third']);
  });

  it('takes text and id from the fields named', async () => {
    const fields = ['--text', 'body', '--id', 'key'];
    const { stdout } = await flatrank('search', 'x', 'table.csv', '-m', model, ...fields, '--json');
    const hits = JSON.parse(stdout).hits.map(({ id, text }: { id: string; text: string }) => [id, text]);
    expect(hits.sort()).toEqual([
      ['a', 'one, quoted'],
      ['b', 'two'],
    ]);
  });

  it('reranks', async () => {
    const { stdout } = await flatrank(
      'search',
      'river',
      'docs.jsonl',
      '-m',
      model,
      '-r',
      crossModel,
      '-k',
      '2',
      '--json',
    );
    const { hits, timesMs } = JSON.parse(stdout);
    expect(hits).toHaveLength(2);
    for (const { score, rerankScore } of hits) expect(score).toBeCloseTo(rerankScore, 6);
    expect(Object.keys(timesMs)).toEqual(['load', 'read', 'encode', 'search', 'rerank']);
  });

  it('prints hits for people', async () => {
    const { code, stdout } = await flatrank('search', 'river', 'docs.jsonl', '-m', model);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ 1\. -?\d\.\d{4} {2}\S+\n {4}\S/);
    expect(stdout.split('\n').filter((line) => /^ {1,2}\d\. /.test(line))).toHaveLength(3);
  });
});

describe('flatrank encode', () => {
  it('writes a matrix for NumPy and the ids, and nothing else', async () => {
    const { code } = await flatrank('encode', 'docs.jsonl', '-m', model, '--out', 'out.npy', '--normalize');
    expect(code).toBe(0);
    const file = readFileSync(path.join(folder, 'out.npy'));
    expect(file.subarray(0, 8).toString('latin1')).toBe('\x93NUMPY\x01\x00');
    const headerEnd = 10 + file.readUInt16LE(8);
    expect(headerEnd % 64).toBe(0);
    expect(file.subarray(10, headerEnd).toString()).toContain("'shape': (3, 32)");
    const values = new Float32Array(new Uint8Array(file.subarray(headerEnd)).buffer);
    await using encoder = await SentenceTransformer.load(model);
    const expected = await encoder.encodeDocument(
      records.map(({ text }) => text),
      { normalize: true },
    );
    expect([...values]).toEqual([...expected.data]);
    expect(readFileSync(path.join(folder, 'out.npy.ids.txt'), 'utf8')).toBe('first\ndocs.jsonl:2\nthird\n');
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('exit codes', () => {
  it.each([
    ['no command', []],
    ['an unknown command', ['fly']],
    ['no model', ['search', 'q', 'docs.jsonl']],
    ['no files', ['search', 'q', '-m', model]],
    ['a count that is none', ['search', 'q', 'docs.jsonl', '-m', model, '-k', '0']],
    ['an unknown option', ['encode', 'docs.jsonl', '-m', model, '--out', 'x', '--fast']],
  ])('2 for wrong usage: %s', async (_, args) => {
    const { code, stdout, stderr } = await flatrank(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toBe('');
  });

  it.each([
    ['no such file', ['missing.jsonl'], /missing\.jsonl.*ERR_NOT_FOUND/],
    ['a line that is no JSON', ['broken.jsonl'], /broken\.jsonl:2.*ERR_BAD_FILE/],
    ['a file that is not what its ending says', ['fake.jsonl.gz'], /fake\.jsonl\.gz.*ERR_BAD_FILE/],
    ['an ending that is not known', ['picture.png'], /picture\.png.*ERR_UNSUPPORTED/],
    ['a field that is not there', ['docs.jsonl', '--text', 'body'], /docs\.jsonl:1.*"body".*ERR_BAD_FILE/],
  ])('1 with one line where it failed: %s', async (_, args, message) => {
    const { code, stderr } = await flatrank('search', 'q', ...args, '-m', model);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('0 for help, which names every option', async () => {
    for (const [args, words] of [
      [['--help'], ['search', 'encode', 'Examples']],
      [
        ['search', '--help'],
        ['--model', '--rerank', '-k', '--json', '--text', '--id', 'Exit codes'],
      ],
      [
        ['encode', '--help'],
        ['--out', '--normalize', 'numpy'],
      ],
    ] as const) {
      const { code, stdout } = await flatrank(...args);
      expect(code).toBe(0);
      for (const word of words) expect(stdout).toContain(word);
    }
  });

  it('130 where it was interrupted, leaving no file', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ text: `text number ${i} `.repeat(20) }));
    writeFileSync(path.join(folder, 'many.jsonl'), many.join('\n'));
    const child = spawn(process.execPath, [main, 'encode', 'many.jsonl', '-m', model, '--out', 'many.npy'], {
      cwd: folder,
    });
    setTimeout(() => child.kill('SIGINT'), 1500);
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect(code).toBe(130);
    expect(readdirSync(folder).filter((name) => name.startsWith('many.npy'))).toEqual([]);
  });

  it('0 where its reader has read enough', async () => {
    const child = spawn(process.execPath, [main, 'search', 'river', 'docs.jsonl', '-m', model], { cwd: folder });
    child.stdout.destroy();
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
  });
});
