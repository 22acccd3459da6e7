import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { curveSpec, writeCurve } from '../../lib/train/curve.js';
import { groupsOf } from '../../lib/train/grouping.js';
import { readLog, TrainingLog } from '../../lib/train/log.js';
import { decays } from '../../lib/train/optimizer.js';
import { scheduleFactor } from '../../lib/train/schedule.js';
import { TokenStream } from '../../lib/train/token-stream.js';
import { ObjectiveData } from '../../lib/train/batches.js';
import { CosineSimilarityLoss, MultipleNegativesRankingLoss } from '../../lib/train/losses.js';

const folder = mkdtempSync(join(tmpdir(), 'flatrank-train-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('schedules', () => {
  // transformers' get_scheduler(name, warm-up 4, 10 steps), steps 0 to 10.
  it.each([
    ['linear', [0, 0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 0.5, 2 / 6, 1 / 6, 0]],
    ['constant', [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]],
    ['cosine', [0, 0.25, 0.5, 0.75, 1, 0.9330127018922194, 0.75, 0.5, 0.25, 0.06698729810778059, 0]],
  ] as const)('%s', (name, expected) => {
    expected.forEach((factor, step) => {
      expect(scheduleFactor(name, step, 4, 10)).toBeCloseTo(factor, 12);
    });
  });

  it('a warm-up longer than the training rises to the end', () => {
    expect(scheduleFactor('linear', 10, 10_000, 100)).toBe(0.001);
  });
});

it('weights decay, biases and normalisations do not', () => {
  const names = {
    'encoder.layer.0.attention.self.query.weight': true,
    'embeddings.word_embeddings.weight': true,
    'encoder.layer.0.attention.self.query.bias': false,
    'embeddings.LayerNorm.weight': false,
    'transformer.layer.0.sa_layer_norm.weight': false,
  };
  for (const [name, expected] of Object.entries(names)) expect(decays(name), name).toBe(expected);
});

describe('groups', () => {
  const cost = (groups: readonly { count: number; places: number }[]): number =>
    groups.reduce((sum, { count, places }) => sum + count * places * (places + 150), 0);

  /** Every way to cut n texts into groups. */
  function* partitions(
    lengths: readonly number[],
    most: number,
    begin = 0,
  ): Generator<{ count: number; places: number }[]> {
    if (begin === lengths.length) yield [];
    else if (most > 0)
      for (let end = begin + 1; end <= lengths.length; end++)
        for (const rest of partitions(lengths, most - 1, end))
          yield [{ count: end - begin, places: lengths[begin]! }, ...rest];
  }

  it('cost the least of all cuts', () => {
    for (const lengths of [[9], [9, 9, 9], [200, 190, 40, 39, 12, 11, 11, 3], [64, 32, 16, 8, 4, 2, 1]])
      for (const most of [1, 2, 3, 8]) {
        const groups = groupsOf(lengths, most);
        expect(groups.length).toBeLessThanOrEqual(most);
        expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(lengths.length);
        groups.forEach(({ begin, places }, k) => {
          expect(places).toBe(lengths[begin]);
          expect(begin).toBe(groups.slice(0, k).reduce((sum, { count }) => sum + count, 0));
        });
        const best = Math.min(...[...partitions(lengths, most)].map(cost));
        expect(cost(groups)).toBe(best);
      }
  });
});

it('the ways between tokens and places undo each other', () => {
  const texts = [3, 7, 1, 7, 2].map((n, t) => ({
    ids: Array.from({ length: n }, (_, i) => 10 * t + i),
    typeIds: Array(n).fill(0),
  }));
  const architecture = { padId: 0, positionsFrom: 'zero' } as never;
  const stream = new TokenStream(texts, architecture, 4);
  const numbers = (name: string): number[] => Array.from(stream.feeds([name])[name]!.data, Number);
  const [ids, blocks, back, rows] = ['ids', 'blocks', 'back', 'block_rows'].map(numbers) as [
    number[],
    number[],
    number[],
    number[],
  ];
  expect(back.map((place) => blocks[place])).toEqual(ids.map((_, i) => i));
  expect(rows.filter(Boolean).length).toBe(stream.tokens);
  const [first, order] = [numbers('first_tokens'), numbers('text_rows')];
  expect(order.map((row) => ids[first[row]!])).toEqual([0, 10, 20, 30, 40]);
  const weights = numbers('pool_mean');
  texts.forEach(({ ids: own }, t) => {
    const row = weights.slice(t * stream.tokens, (t + 1) * stream.tokens);
    expect(ids.filter((_, i) => row[i]! > 0)).toEqual(own);
    expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
  });
});

it('positions count from the padding id where the family does so', () => {
  const texts = [{ ids: [5, 1, 6], typeIds: [0, 0, 0] }];
  const stream = new TokenStream(texts, { padId: 1, positionsFrom: 'padding' } as never, 1);
  expect([...stream.integers('positions')]).toEqual([2, 1, 3]);
});

describe('batches', () => {
  const examples = Array.from({ length: 10 }, (_, i) => ({ texts: [`a${i % 6}`, `b${i}`], label: i / 10 }));
  const tokenize = (texts: readonly string[]) => texts.map((text) => ({ ids: [text.length], typeIds: [0] }));
  const options = { batchSize: 4, shuffle: true, seed: 3 };

  it('hold every example once, in an order of the seed and epoch', () => {
    const data = new ObjectiveData(examples, new CosineSimilarityLoss(), tokenize, options);
    const order = (epoch: number): number[] => [...data.epoch(epoch)].flat().map(({ index }) => index);
    expect(data.batches).toBe(3);
    expect([...order(0)].sort((a, b) => a - b)).toEqual(examples.map((_, i) => i));
    expect(order(0)).toEqual(order(0));
    expect(order(0)).not.toEqual(order(1));
  });

  it('hold no text twice where other examples are negatives', () => {
    const data = new ObjectiveData(examples, new MultipleNegativesRankingLoss(), tokenize, options);
    for (const batch of data.epoch(0)) expect(new Set(batch.map(({ texts }) => texts[0])).size).toBe(4);
  });

  it('come in their order where they are not shuffled, all first texts before the second ones', () => {
    const data = new ObjectiveData(examples, new CosineSimilarityLoss(), tokenize, { ...options, shuffle: false });
    const batches = [...data.epoch(1)];
    expect(batches.map((batch) => batch.map(({ index }) => index))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    const { texts, columns, labels } = data.tokens(batches[2]!, 0);
    expect([texts.length, columns, labels]).toEqual([4, 2, [0.8, 0.9]]);
  });

  it('need as many examples as a batch of negatives has', () => {
    const few = () => new ObjectiveData(examples.slice(0, 3), new MultipleNegativesRankingLoss(), tokenize, options);
    expect(few).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });
});

describe('the log', () => {
  it('goes on at the step where training does, and bears a half-written line', async () => {
    const path = join(folder, 'log.jsonl');
    const log = await TrainingLog.open(path, 0);
    for (const step of [1, 2, 3]) await log.write({ step, epoch: 0, loss: step });
    await log.close();
    writeFileSync(path, '{"step": 4, "ep', { flag: 'a' });
    const again = await TrainingLog.open(path, 2);
    await again.write({ step: 3, epoch: 0, loss: 30 });
    await again.close();
    expect((await readLog(path)).map(({ loss }) => loss)).toEqual([1, 2, 30]);
  });

  it('has a picture', async () => {
    const log = Array.from({ length: 40 }, (_, i) => ({ step: i + 1, epoch: 0, loss: 1 / (i + 1) }));
    const lines = [...log, { step: 20, epoch: 0, score: 0.5 }, { step: 40, epoch: 0, score: 0.7 }];
    expect(curveSpec(lines, 'score').marks).toHaveLength(2);
    expect(curveSpec(log, 'score').marks).toHaveLength(1);
    await writeCurve(lines, 'score', join(folder, 'curve'));
    const { readFileSync } = await import('node:fs');
    const svg = readFileSync(join(folder, 'curve.svg'), 'utf8');
    expect(svg).toMatch(/^<svg/);
    expect(svg.match(/<path/g)!.length).toBeGreaterThan(3);
    expect(
      [...readFileSync(join(folder, 'curve.png')).subarray(1, 4)].map((c) => String.fromCharCode(c)).join(''),
    ).toBe('PNG');
  });
});
