import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { loadBeir, loadCranfield, loadKlueMrc, loadKlueSts, loadKorQuad, loadKorSts, readRecords } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { all, failure, file, folder } from './data-files.js';

const sts = (label: number): object => ({
  guid: 'g',
  source: 's',
  sentence1: 'a',
  sentence2: 'b',
  labels: { label, 'real-label': label + 0.04, 'binary-label': 0 },
});

describe('loadKlueSts and loadKorSts', () => {
  test('JSON with CRLF, and a table of real labels', async () => {
    const json = file('klue/klue-sts-v1.1_dev.json', JSON.stringify([sts(2.9)], null, 2).replaceAll('\n', '\r\n'));
    const row = { sentence1: 'a', sentence2: 'b', label: 2.9, score: 2.9 / 5, binaryLabel: 0 };
    expect(await loadKlueSts(json)).toEqual([{ guid: 'g', source: 's', ...row, realLabel: 2.94 }]);
    file('klue/klue_sts_train.csv', 'sentence1,sentence2,label\na,"b, ""c""",3.714285714285714\n');
    expect(await loadKlueSts(join(folder, 'klue'), { split: 'train' })).toEqual([
      { sentence1: 'a', sentence2: 'b, "c"', label: 3.7, realLabel: 3.714285714285714, binaryLabel: 1, score: 0.74 },
    ]);
  });

  test('the split chooses a file of a directory, by any of its names', async () => {
    const klue = join(folder, 'klue');
    file('klue/klue-nli-v1.1_dev.json', '[{"premise":"x"}]');
    expect(await loadKlueSts(klue, { split: 'validation' })).toHaveLength(1);
    expect(await loadKlueSts(klue, { split: 'dev' })).toHaveLength(1);
    expect(await failure(loadKlueSts(klue), klue)).toBe(
      'ERR_NOT_FOUND Expected `split` to be one of train, validation: FILE has several',
    );
    expect(await failure(loadKlueSts(klue, { split: 'test' }), klue)).toBe(
      'ERR_NOT_FOUND Expected FILE to have files of split "test" but it has only train, validation',
    );
    const missing = join(folder, 'nothing', 'here');
    expect(await failure(loadKlueSts(missing), missing)).toMatch(/^ERR_NOT_FOUND Expected FILE to be a file/);
  });

  test('tab-separated values without quoting', async () => {
    const header = 'genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\n';
    const path = file('sts-dev.tsv', `${header}main\tMSR\t2012\t0001\t0.80\t"a\tb" c`);
    expect(await loadKorSts(path)).toEqual([
      {
        genre: 'main',
        filename: 'MSR',
        year: '2012',
        id: '0001',
        sentence1: '"a',
        sentence2: 'b" c',
        label: 0.8,
        score: 0.16,
      },
    ]);
  });

  test.each([
    [
      'sentence1,sentence2\na,b',
      'FILE:2 to be a record with the field "label" but received one with "sentence1", "sentence2"',
    ],
    ['sentence1,sentence2,label\na,b,x', 'FILE:2 to be a record with a number in "label" but received "x"'],
    ['sentence1,sentence2,label\na,b,', 'FILE:2 to be a record with a number in "label" but received ""'],
    [
      'sentence1,sentence2,label\na,b,5.5',
      'FILE:2 to be a record with a number from 0 to 5 in "label" but received 5.5',
    ],
    [
      'sentence1,label\na,1',
      'FILE:2 to be a record with the field "sentence2" but received one with "sentence1", "label"',
    ],
  ])('names file, line and column: %j', async (text, expected) => {
    const path = file('bad-sts.csv', text);
    expect(await failure(loadKlueSts(path), path)).toBe(`ERR_BAD_FILE Expected ${expected}`);
  });

  test('an abort stops it', async () => {
    const path = file('some.csv', 'sentence1,sentence2,label\na,b,1\n');
    await expect(loadKlueSts(path, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
  });
});

describe('loadKorQuad and loadKlueMrc', () => {
  const qa = { id: 'q1', question: 'who?', answers: [{ text: 'he', answer_start: 3 }] };
  const article = { title: 'T', paragraphs: [{ context: 'so he', qas: [qa, { guid: 'q2', question: 'why?' }] }] };

  test('articles become rows', async () => {
    const path = file('squad.json', JSON.stringify({ version: '1', data: [article, article] }));
    const row = { title: 'T', context: 'so he' };
    const rows = [
      { id: 'q1', ...row, question: 'who?', answers: [{ text: 'he', answerStart: 3 }] },
      { id: 'q2', ...row, question: 'why?', answers: [] },
    ];
    expect(await loadKorQuad(path)).toEqual([...rows, ...rows]);
    expect(await loadKlueMrc(path)).toEqual([...rows, ...rows]);
  });

  test('an array in JSON is one of questions', async () => {
    const records = [
      { id: 'a', question: 'who?', context: 'so he' },
      { id: 'b', question: 'why?', context: 'so' },
    ];
    const path = file('flat.json', ` \n${JSON.stringify(records)}`);
    expect(await loadKorQuad(path)).toEqual(records.map((record) => ({ ...record, title: '', answers: [] })));
  });

  test.each([
    [{ data: [{ paragraphs: {} }] }, 'FILE:1 to be a record with an array of objects in "paragraphs"'],
    [{ data: [{ paragraphs: [{ qas: [] }] }] }, 'FILE:1 to be a record with the field "context"'],
    [{ data: [{ paragraphs: [{ context: 'c', qas: [{}] }] }] }, 'FILE:1 to be a record with the field "question"'],
    [{}, 'FILE to be a JSON object with an array at "data"'],
  ])('refuses %j', async (content, expected) => {
    const path = file('bad-squad.json', JSON.stringify(content));
    expect(await failure(loadKorQuad(path), path)).toContain(`ERR_BAD_FILE Expected ${expected}`);
  });
});

describe('loadBeir', () => {
  const beir = join(folder, 'beir');
  file('beir/corpus.jsonl.gz', gzipSync('{"_id":"7","title":"T","text":"x"}\n{"_id":"__proto__","text":"y"}\n'));
  file('beir/queries.jsonl', '{"_id":"2","text":"q two"}\n{"_id":"1","text":"q one"}\n');
  file('beir/qrels/test.tsv', 'query-id\tcorpus-id\tscore\n1\t7\t1\n1\t__proto__\t0\n');

  test('corpus, queries of all splits, judgements of one', async () => {
    const { corpus, queries, qrels } = await loadBeir(beir);
    expect([...corpus]).toEqual([
      ['7', { title: 'T', text: 'x' }],
      ['__proto__', { title: '', text: 'y' }],
    ]);
    expect([...queries]).toEqual([
      ['2', 'q two'],
      ['1', 'q one'],
    ]);
    expect([...qrels]).toEqual([
      [
        '1',
        new Map([
          ['7', 1],
          ['__proto__', 0],
        ]),
      ],
    ]);
  });

  test('names what is missing', async () => {
    expect(await failure(loadBeir(beir, { split: 'dev' }), beir)).toBe(
      'ERR_NOT_FOUND Expected FILE to have a file dev but it has only corpus, queries, test',
    );
  });
});

const data = fileURLToPath(new URL('../../../shared/data', import.meta.url));

describe('loadCranfield', () => {
  test('names what is missing or broken', async () => {
    const cranfield = join(folder, 'cranfield');
    file('cranfield/cran.qry', '.I 001\r\n.W\r\nwhat\r\nis\r\n');
    expect(await failure(loadCranfield(cranfield), cranfield)).toBe(
      'ERR_NOT_FOUND Expected FILE to have the file cran.all.1400',
    );
    file('cranfield/cran.all.1400', '.I 1\nlost\n');
    expect(await failure(loadCranfield(cranfield), cranfield)).toMatch(/^ERR_BAD_FILE Expected FILE.cran.all.1400:2/);
    file('cranfield/cran.all.1400', '.I 1\n.T\na\ntitle\n.W\na\ntitle\nand text\n');
    file('cranfield/cranqrel', '1 1 -1\n1 2 1\n');
    const { corpus, queries, qrels } = await loadCranfield(cranfield);
    expect([...corpus]).toEqual([['1', { title: 'a title', text: 'and text' }]]);
    expect([...queries]).toEqual([['1', 'what is']]);
    expect([...qrels.get('1')!]).toEqual([
      ['1', 0],
      ['2', 4],
    ]);
  });
});

describe.skipIf(!existsSync(data))('the published files (skipped where they are not beside the repository)', () => {
  const at = (name: string): string => join(data, name);
  const count = async (name: string, options = {}): Promise<number> =>
    (await all(readRecords(at(name), options))).length;

  test('KLUE-STS: 11,668 and 519 pairs', async () => {
    expect(await loadKlueSts(at('klue'), { split: 'train' })).toHaveLength(11668);
    const dev = await loadKlueSts(at('klue'), { split: 'validation' });
    expect(dev).toHaveLength(519);
    expect(dev.every(({ label, realLabel }) => label === Math.round(realLabel * 10) / 10)).toBe(true);
  });

  test.each([
    ['train', 5749],
    ['dev', 1500],
    ['test', 1379],
  ])('KorSTS %s: %i pairs, their quotes kept, in line with STS-B', async (split, rows) => {
    const korean = await loadKorSts(at('korsts'), { split });
    expect(korean).toHaveLength(rows);
    const columns = ['sentence1', 'sentence2', 'score'];
    const english = await all(readRecords(at(`stsb-en/stsb-en-${split}.csv`), { columns }));
    expect(english.map(({ fields }) => Number(fields['score']))).toEqual(korean.map(({ label }) => label));
  });

  test('KorQuAD: 5,774 questions, answers where they say; XQuAD: 1,190', async () => {
    const rows = await loadKorQuad(at('korquad'));
    expect(rows).toHaveLength(5774);
    expect(new Set(rows.map(({ question }) => question)).size).toBe(5764);
    for (const { context, answers } of rows)
      for (const { text, answerStart } of answers) expect(context.startsWith(text, answerStart)).toBe(true);
    expect(await loadKorQuad(at('xquad'))).toHaveLength(1190);
  });

  test('SciFact: 5,183 documents, 1,109 queries, 339 and 919 judgements of 300 and 809 queries', async () => {
    for (const [split, judged, judgements] of [
      ['test', 300, 339],
      ['train', 809, 919],
    ] as const) {
      const { corpus, queries, qrels } = await loadBeir(at('scifact'), { split });
      expect([corpus.size, queries.size, qrels.size]).toEqual([5183, 1109, judged]);
      expect([...qrels.values()].reduce((sum, { size }) => sum + size, 0)).toBe(judgements);
    }
  });

  test('Cranfield: 1,400 documents, 225 queries, 1,837 judgements', async () => {
    const { corpus, queries, qrels } = await loadCranfield(at('cranfield'));
    expect([corpus.size, queries.size, qrels.size]).toEqual([1400, 225, 225]);
    expect([...qrels.values()].reduce((sum, { size }) => sum + size, 0)).toBe(1837);
    expect(corpus.get('471')).toEqual({ title: '', text: '' });
    expect(corpus.get('1')!.text.startsWith('an experimental study of a wing')).toBe(true);
    expect(queries.get('3')).toMatch(/^what problems of heat conduction in composite slabs/);
    expect(qrels.get('1')!.get('184')).toBe(3);
  });

  test('KLUE-NLI, paraKQC, question pairs, chatbot and documentation, by the readers alone', async () => {
    expect(await count('klue/klue-nli-v1.1_dev.json')).toBe(3000);
    const columns = ['topic', 'intent', 'sentence'];
    expect(await count('parakqc/paraKQC_v1.txt', { format: 'tsv', columns })).toBe(10000);
    expect(await count('songys-chatbot/ChatbotData.csv')).toBe(11823);
    for (const [name, rows] of Object.entries({ train: 6136, validation: 682, test: 758 }))
      expect(await count(`songys-question-pair/${name}.txt`, { format: 'tsv' })).toBe(rows);
    expect(await count('songys-question-pair/kor_Pair_test.csv')).toBe(688);
    for (const [name, rows] of Object.entries({ 'docs-ko': 6368, 'docs-en': 6847, 'tldr-ko': 6422, 'tldr-en': 6417 }))
      expect(await count(`docs/${name}.jsonl.gz`)).toBe(rows);
  });
});
