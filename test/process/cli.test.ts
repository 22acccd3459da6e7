import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { Retriever, SentenceTransformer } from 'flatrank';
import { goldenDirectory } from '../golden/golden-directory.js';
import { scratchFolder } from './run.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const model = path.join(goldenDirectory, 'models/tiny-bert');
const crossModel = path.join(goldenDirectory, 'models/tiny-bert-cross');
const otherModel = path.join(goldenDirectory, 'models/tiny-roberta');
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

describe('flatrank encode where a directory is in the way', () => {
  it.each(['taken', 'other'])('writes nothing: %s', async (out) => {
    for (const name of ['taken', 'other.ids.txt']) mkdirSync(path.join(folder, name), { recursive: true });
    const { code, stderr } = await flatrank('encode', 'docs.jsonl', '-m', model, '--out', out);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/(taken|ids\.txt) to be a file.*ERR_NOT_FOUND/)]);
    const made = readdirSync(folder).filter((name) => /^(taken|other)/.test(name));
    expect(made.sort()).toEqual(['other.ids.txt', 'taken']);
  });
});

describe('flatrank index, info, and search over a store', () => {
  const write = (...lines: object[]): void => {
    writeFileSync(path.join(folder, 'kept.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
  };
  const index = async (...more: string[]): Promise<Record<string, number>> => {
    const { code, stdout, stderr } = await flatrank(
      'index',
      'kept.jsonl',
      ...more,
      '-m',
      model,
      '--out',
      'a.store',
      '--json',
    );
    expect([code, stderr]).toEqual([0, '']);
    const { documents, encoded, moved, unchanged, removed, size } = JSON.parse(stdout);
    return { documents, encoded, moved, unchanged, removed, size };
  };

  it('encodes what changed, and removes what vanished', async () => {
    write(
      { id: 'a', text: 'the river', lang: 'en' },
      { id: 'b', text: 'the bridge' },
      { id: 'c', text: '강', lang: 'ko' },
    );
    const none = { encoded: 0, moved: 0, unchanged: 0, removed: 0, size: 5 };
    expect(await index('guide.md')).toEqual({ ...none, documents: 5, encoded: 5 });
    expect(await index('guide.md')).toEqual({ ...none, documents: 5, unchanged: 5 });
    // A text, a field of metadata, one that is gone, one that is new; the other file is not spoken of.
    write(
      { id: 'a', text: 'the deep river', lang: 'en' },
      { id: 'c', text: '강', lang: 'kr' },
      { id: 'd', text: 'new' },
    );
    expect(await index()).toEqual({ ...none, documents: 3, encoded: 2, moved: 1, removed: 1 });
    expect(await index()).toEqual({ ...none, documents: 3, unchanged: 3 });
    const plain = await flatrank('index', 'kept.jsonl', '-m', model, '--out', 'a.store');
    expect(plain.stdout).toBe('3 documents: 0 encoded, 0 moved, 3 unchanged, 0 removed; 5 in a.store\n');
  });

  it('encodes no text again that has another line, name or file', async () => {
    const store = path.join(folder, 'moved.store');
    const notes = (...texts: string[]): void => {
      writeFileSync(path.join(folder, 'notes.jsonl'), texts.map((text) => JSON.stringify({ text })).join('\n'));
    };
    const bring = async (file: string): Promise<string> =>
      (await flatrank('index', file, '-m', model, '--out', store)).stdout.split(';')[0]!;
    /** Each document's id and text, and the best score of a search for its text. */
    const contents = async (): Promise<[id: string, text: string, score: number][]> => {
      await using retriever = await Retriever.open(store);
      const found: [string, string, number][] = [];
      for await (const { id, text } of retriever.documents()) {
        const hit = (await retriever.search(text, { k: 4 })).find((one) => one.id === id);
        found.push([id, text, Math.round(hit!.score * 1e4)]);
      }
      return found;
    };
    notes('one river', 'two rivers', 'three rivers');
    expect(await bring('notes.jsonl')).toBe('3 documents: 3 encoded, 0 moved, 0 unchanged, 0 removed');
    notes('a new line', 'one river', 'two rivers', 'three rivers');
    expect(await bring('./notes.jsonl')).toBe('4 documents: 1 encoded, 3 moved, 0 unchanged, 0 removed');
    expect(await contents()).toEqual(
      ['a new line', 'one river', 'two rivers', 'three rivers'].map((text, i) => [
        `notes.jsonl:${i + 1}`,
        text,
        10_000,
      ]),
    );
    renameSync(path.join(folder, 'notes.jsonl'), path.join(folder, 'renamed.jsonl'));
    expect(await bring('renamed.jsonl')).toBe('4 documents: 0 encoded, 4 moved, 0 unchanged, 0 removed');
  });

  it('takes no id from a file that is still there, and makes no store of what cannot be read', async () => {
    const put = (name: string, ...records: object[]): void => {
      writeFileSync(path.join(folder, name), records.map((record) => JSON.stringify(record)).join('\n'));
    };
    put('first.jsonl', { id: 'x', text: 'one river' });
    put('second.jsonl', { id: 'x', text: 'two rivers' });
    put('textless.jsonl', { id: 'y' });
    const bring = (file: string): ReturnType<typeof flatrank> =>
      flatrank('index', file, '-m', model, '--out', 'ids.store');
    for (const file of ['typo.jsonl', 'textless.jsonl']) expect((await bring(file)).code).toBe(1);
    expect(existsSync(path.join(folder, 'ids.store'))).toBe(false);
    expect((await bring('first.jsonl')).code).toBe(0);
    const taken = await bring('second.jsonl');
    expect(taken.code).toBe(1);
    expect(taken.stderr).toMatch(
      /ERR_DUPLICATE_ID.*second\.jsonl.*first\.jsonl|second\.jsonl.*first\.jsonl.*ERR_DUPLICATE_ID/s,
    );
    renameSync(path.join(folder, 'first.jsonl'), path.join(folder, 'gone.jsonl'));
    expect((await bring('second.jsonl')).code).toBe(0);
  });

  it('goes on where it was interrupted', async () => {
    const many = Array.from({ length: 6000 }, (_, i) => JSON.stringify({ text: `text number ${i} `.repeat(20) }));
    writeFileSync(path.join(folder, 'long-run.jsonl'), many.join('\n'));
    const args = ['index', 'long-run.jsonl', '-m', model, '--out', 'run.store'];
    const child = spawn(process.execPath, [main, ...args], { cwd: folder });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const manifest = path.join(folder, 'run.store', 'manifest.json');
    const size = (): number =>
      existsSync(manifest) ? (JSON.parse(readFileSync(manifest, 'utf8')) as { documents: number }).documents : 0;
    while (size() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    expect(await gone).toBe(130);
    const kept = size();
    expect(kept % 1024).toBe(0);
    const { encoded, unchanged } = JSON.parse((await flatrank(...args, '--json')).stdout);
    expect([encoded, unchanged]).toEqual([6000 - kept, kept]);
  });

  it('answers with the model that the store names', async () => {
    const { code, stdout, stderr } = await flatrank('search', 'a.store', 'the deep river', '-k', '2', '--json');
    expect([code, stderr]).toEqual([0, '']);
    const { question, documents, hits } = JSON.parse(stdout);
    expect([question, documents, hits.length]).toEqual(['the deep river', 5, 2]);
    expect(hits[0]).toMatchObject({ rank: 1, id: 'a', text: 'the deep river', metadata: { lang: 'en' } });
    const filtered = await flatrank('search', 'a.store', 'x', '--where', '{"lang": {"in": ["kr"]}}', '--json');
    expect(JSON.parse(filtered.stdout).hits.map(({ id }: { id: string }) => id)).toEqual(['c']);
    const reranked = await flatrank('search', 'a.store', 'x', '-m', model, '-r', crossModel, '-k', '1', '--json');
    expect(JSON.parse(reranked.stdout).hits).toMatchObject([{ rerankScore: expect.any(Number) }]);
    const people = await flatrank('search', 'a.store', 'the deep river', '-k', '1');
    expect(people.stdout).toMatch(/^ 1\. \d\.\d{4} {2}a\n/);
  });

  it('tells what a store holds', async () => {
    const { stdout } = await flatrank('info', 'a.store', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      documents: 5,
      rows: 5,
      dimension: 32,
      metric: 'cosine',
      model: { fingerprint: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), source: { model } },
    });
    const people = await flatrank('info', 'a.store');
    expect(people.stdout).toMatch(/^documents +5$/m);
    expect(people.stdout).toMatch(/^fingerprint +sha256:/m);
  });

  it('splits long records, with overlap', async () => {
    const text = Array.from({ length: 300 }, (_, i) => `word ${i}.`).join(' ');
    writeFileSync(path.join(folder, 'long.jsonl'), JSON.stringify({ id: 'long', text }));
    await flatrank('index', 'long.jsonl', '-m', model, '--out', 'long.store', '--overlap', '8');
    const { rows, documents } = JSON.parse((await flatrank('info', 'long.store', '--json')).stdout);
    expect([documents, rows > 3]).toEqual([1, true]);
    const { stdout } = await flatrank('search', 'long.store', 'word 200', '-k', '1', '--json');
    const [{ id, passage, text: found }] = JSON.parse(stdout).hits;
    expect([id, text.slice(passage.start, passage.end)]).toEqual(['long', found]);
    const again = await flatrank('index', 'long.jsonl', '-m', model, '--out', 'long.store', '--overlap', '8', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ encoded: 0, unchanged: 1 });
  });

  it.each([
    ['no store there', ['info', 'none.store'], 1, /none\.store.*ERR_NOT_FOUND/],
    ['no store to search', ['search', 'none.store', 'question'], 2, /none\.store is no store/],
    ['two questions', ['search', 'a.store', 'one', 'two'], 2, /one question/],
    ['a filter that is no JSON', ['search', 'a.store', 'q', '--where', '{lang'], 2, /JSON/],
    [
      'a filter that is none',
      ['search', 'a.store', 'q', '--where', '{"lang": {"near": 1}}'],
      1,
      /near.*ERR_INVALID_ARGUMENT/,
    ],
    ['another model', ['index', 'kept.jsonl', '-m', otherModel, '--out', 'a.store'], 1, /sha256:.*ERR_MODEL_MISMATCH/],
    [
      'an id twice',
      ['index', 'kept.jsonl', 'docs.jsonl', 'docs.jsonl.gz', '-m', model, '--out', 'b.store'],
      1,
      /first.*ERR_DUPLICATE_ID/,
    ],
  ])('%s', async (_, args, expected, message) => {
    const { code, stderr } = await flatrank(...args);
    expect(code).toBe(expected);
    expect(stderr).toMatch(message);
  });
});

describe('exit codes', () => {
  it.each([
    ['no command', []],
    ['an unknown command', ['fly']],
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
      [['--help'], ['search', 'index', 'info', 'encode', 'Examples']],
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

  it.each([
    ['SIGINT', 130, 1],
    ['SIGHUP', 129, 2], // a terminal that closes may say so twice
  ] as const)('of %s: %i, leaving no file', async (signal, expected, times) => {
    const many = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ text: `text number ${i} `.repeat(20) }));
    writeFileSync(path.join(folder, 'many.jsonl'), many.join('\n'));
    const child = spawn(process.execPath, [main, 'encode', 'many.jsonl', '-m', model, '--out', 'many.npy'], {
      cwd: folder,
    });
    setTimeout(() => {
      for (let i = 0; i < times; i++) child.kill(signal);
    }, 1500);
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect(code).toBe(expected);
    expect(readdirSync(folder).filter((name) => name.startsWith('many.npy'))).toEqual([]);
  });

  it('0 where its reader has read enough', async () => {
    const child = spawn(process.execPath, [main, 'search', 'river', 'docs.jsonl', '-m', model], { cwd: folder });
    child.stdout.destroy();
    const ended = new Promise((resolve) =>
      child.once('exit', (...how) => {
        resolve(how);
      }),
    );
    expect(await ended).toEqual([0, null]);
  });
});
