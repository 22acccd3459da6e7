import {
  addIrrelevantContexts,
  batchesWithoutDuplicates,
  labelledPairs,
  positivePairs,
  readExamples,
  shuffled,
  trainTestSplit,
  type InputExample,
} from 'flatrank';
import { describe, expect, test } from 'vitest';
import { all, failure, file } from './data-files.js';

describe('trainTestSplit', () => {
  const rows = Array.from({ length: 10 }, (_, i) => `row ${i}`);

  test('every row is in one part, the same with the same seed', () => {
    const { train, test: held } = trainTestSplit(rows, { testSize: 0.25, seed: 3 });
    expect([...train, ...held].toSorted()).toEqual(rows);
    expect(held).toHaveLength(3); // rounded up
    expect(trainTestSplit(rows, { testSize: 3, seed: 3 })).toEqual({ train, test: held });
    expect(trainTestSplit(rows, { testSize: 3, seed: 4 })).not.toEqual({ train, test: held });
  });

  test('without shuffling the last rows are test; sizes may leave rows out', () => {
    expect(trainTestSplit(rows, { shuffle: false })).toEqual({ train: rows.slice(0, 7), test: rows.slice(7) });
    expect(trainTestSplit(rows, { testSize: 2, trainSize: 0.39, shuffle: false })).toEqual({
      train: rows.slice(0, 3),
      test: rows.slice(3, 5),
    });
    expect(trainTestSplit(rows, { trainSize: 4, seed: 1 }).test).toHaveLength(6);
  });

  test.each([
    [{ testSize: 10 }, /`testSize` to be less than the 10 rows/],
    [{ testSize: 0 }, /`testSize` to be a positive integer/],
    [{ testSize: 1.5 }, /`testSize` to be a positive integer/],
    [{ testSize: 0.95 }, /rows are left to train on/],
    [{ testSize: 6, trainSize: 6 }, /`trainSize` to be such that/],
    [{ seed: -1 }, /`seed`/],
    [{ shuffle: 'no' as any }, /`shuffle`/],
  ])('refuses %j', (options, message) => {
    expect(() => trainTestSplit(rows, options)).toThrow(message);
  });
});

describe('readExamples', () => {
  test('finds texts and label by their usual names', async () => {
    const sts = file('sts.csv', 'sentence1,sentence2,score\na,b,2.5\n');
    expect(await all(readExamples(sts, { maxLabel: 5 }))).toEqual([{ texts: ['a', 'b'], label: 0.5 }]);
    const triplets = file('t.jsonl', '{"anchor":"a","positive":"b","negative":"c"}\n');
    expect(await all(readExamples(triplets))).toEqual([{ texts: ['a', 'b', 'c'] }]);
    const lists = file('l.json', '[{"texts":["a","b","c","d"],"label":1}]');
    expect(await all(readExamples(lists))).toEqual([{ texts: ['a', 'b', 'c', 'd'], label: 1 }]);
  });

  test('or by names given', async () => {
    const path = file('named.tsv', 'x\ty\tz\nq\t"p\t1\n');
    expect(await all(readExamples(path, { textFields: ['x', 'y'], labelField: 'z' }))).toEqual([
      { texts: ['q', '"p'], label: 1 },
    ]);
  });

  test('names file, line and column', async () => {
    const path = file('bad-examples.jsonl', '{"query":"a","document":"b"}\n{"query":"a","document":7}\n');
    expect(await failure(readExamples(path), path)).toBe(
      'ERR_BAD_FILE Expected FILE:2 to be a record with a string in "document" but received 7',
    );
    expect(await failure(readExamples(path, { labelField: 'no' }), path)).toMatch(/FILE:1 .* the field "no"/);
    const other = file('other.jsonl', '{"a":1}\n');
    expect(await failure(readExamples(other), other)).toMatch(/FILE:1 to be a record with two texts .*"a"/);
  });
});

describe('pairs of questions and contexts', () => {
  const rows = Array.from({ length: 300 }, (_, i) => ({
    question: `q${i}`,
    context: `c${i % 3 === 0 ? 0 : i}`,
    id: i,
  }));

  test('an irrelevant context is another text, by the seed, and every other one may come', () => {
    const negative = addIrrelevantContexts(rows, { seed: 5 });
    expect(negative).toMatchObject(rows);
    expect(negative.every(({ context, irrelevantContext }) => context !== irrelevantContext)).toBe(true);
    expect(addIrrelevantContexts(rows, { seed: 5 })).toEqual(negative);
    expect(addIrrelevantContexts(rows, { seed: 6 })).not.toEqual(negative);
    // c0 stands in a third of the rows, so a row of another context draws it about one time in three.
    const others = negative.filter(({ context }) => context !== 'c0');
    const share = others.filter(({ irrelevantContext }) => irrelevantContext === 'c0').length / others.length;
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.5);
    const two = [{ context: 'a' }, { context: 'b' }, { context: 'a' }];
    expect(addIrrelevantContexts(two).map(({ irrelevantContext }) => irrelevantContext)).toEqual(['b', 'a', 'b']);
  });

  test('refuses rows of one context', () => {
    expect(() => addIrrelevantContexts([{ context: 'a' }, { context: 'a' }])).toThrow(/two contexts at least/);
    expect(addIrrelevantContexts([])).toEqual([]);
  });

  test('become examples', () => {
    const row = { question: 'q', context: 'c', irrelevantContext: 'x' };
    expect(positivePairs([row])).toEqual([{ texts: ['q', 'c'], label: 1 }]);
    expect(labelledPairs([row])).toEqual([
      { texts: ['q', 'c'], label: 1 },
      { texts: ['q', 'x'], label: 0 },
    ]);
  });
});

describe('batchesWithoutDuplicates', () => {
  const examples: InputExample[] = Array.from({ length: 50 }, (_, i) => ({ texts: [`q${i}`, ` C${i % 7} `] }));

  test('full batches in which no text is twice, by seed and epoch', () => {
    const batches = [...batchesWithoutDuplicates(examples, 6, { seed: 1, epoch: 2 })];
    expect(batches).toHaveLength(8);
    for (const batch of batches) {
      const texts = batch.flatMap(({ texts: own }) => own.map((text) => text.trim().toLowerCase()));
      expect(new Set(texts).size).toBe(12);
    }
    expect([...batchesWithoutDuplicates(examples, 6, { seed: 1, epoch: 2 })]).toEqual(batches);
    expect([...batchesWithoutDuplicates(examples, 6, { seed: 1, epoch: 3 })]).not.toEqual(batches);
  });

  test('where all texts differ, every example comes once', () => {
    const distinct = examples.map((_, i) => ({ texts: [`a${i}`, `b${i}`] }));
    const seen = [...batchesWithoutDuplicates(distinct, 10)].flat();
    expect(seen.map(({ texts }) => texts[0]).toSorted()).toEqual(distinct.map(({ texts }) => texts[0]).toSorted());
  });

  test('too few different texts end in an error, not in a loop', () => {
    expect(() => [...batchesWithoutDuplicates(examples, 8)]).toThrow(/`batchSize` to be at most 7/);
    expect([...batchesWithoutDuplicates(examples.slice(0, 3), 4)]).toEqual([]);
  });

  test('shuffled is a permutation of its own for each epoch', () => {
    const first = shuffled(examples, { seed: 9 });
    expect(first).not.toEqual(examples);
    expect(first.map(({ texts }) => texts[0]).toSorted()).toEqual(examples.map(({ texts }) => texts[0]).toSorted());
    expect(shuffled(examples, { seed: 9, epoch: 1 })).not.toEqual(first);
  });
});
