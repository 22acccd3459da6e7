import {
  evaluateBm25HitRate,
  evaluateHitRate,
  evaluateHitRateWithRerank,
  type EvaluatedEncoder,
  type HitRateOptions,
} from 'flatrank';
import { describe, expect, test } from 'vitest';
import { FakeCrossEncoder, FakeEncoder } from './retriever-fakes.js';

/** Reads vectors from texts: 'x,y anything'; a cross-encoder reads its logit behind '@'. */
const fake = new FakeEncoder();
const encoder: EvaluatedEncoder = {
  encode: (texts) => fake.encodeQuery(texts),
};

// Contexts at 0, 1, 2, 3 (twice) on a line; each question stands where it says.
const rows = [
  { question: '0.1,0 a', context: '0,0 zero@1' }, // nearest is its own
  { question: '1.9,0 b', context: '1,0 one@9' }, // own is second
  { question: '0.2,0 c', context: '2,0 two@8' }, // own is third
  { question: '3.1,0 d', context: '3,0 three@7' },
  { question: '3.2,0 e', context: '3,0 three@7' }, // the text of row 3: either row is a hit
];

describe('evaluateHitRate', () => {
  test('a hit is a context with the text of its own, among k by distance', async () => {
    const report = await evaluateHitRate({ rows, encoder, k: 3 });
    expect(report.predictions).toEqual([
      [0, 1, 2],
      [2, 1, 3],
      [0, 1, 2],
      [3, 4, 2],
      [3, 4, 2],
    ]);
    expect(report).toMatchObject({
      questions: 5,
      k: 3,
      hitRate: 1,
      hitRates: { 1: 3 / 5, 3: 1 },
      batched: { hitRate: 1 },
    });
    expect(report.mrr).toBeCloseTo((1 + 1 / 2 + 1 / 3 + 1 + 1) / 5, 12);
    for (const { embedding, search, total } of [report.secondsPerQuery, report.batched.secondsPerQuery]) {
      expect(embedding).toBeGreaterThan(0);
      expect(search).toBeGreaterThan(0);
      expect(total).toBeCloseTo(embedding + search, 12);
    }
  });

  test('questions are asked one at a time, contexts once', async () => {
    const own = new FakeEncoder();
    await evaluateHitRate({ rows, encoder: { encode: (texts) => own.encodeDocument(texts) } });
    expect(own.calls.map(({ texts }) => texts.length)).toEqual([4, 1, 1, 1, 1, 1, 5]);
  });

  test('over a corpus of its own, by another metric', async () => {
    const corpus = ['9,9 far', ...new Set(rows.map(({ context }) => context))];
    const report = await evaluateHitRate({ rows, corpus, encoder, k: 2 });
    expect(report.predictions[3]).toEqual([4, 3]);
    expect(report.hitRate).toBe(4 / 5);
    const cosine = await evaluateHitRate({
      rows: [
        { question: '5,5 q', context: '1,1 c' },
        { question: '9,0 q', context: '9,0 c' },
      ],
      encoder,
      metric: 'cosine',
      k: 1,
    });
    expect(cosine.hitRate).toBe(1);
  });

  test('more than there are', async () => {
    expect((await evaluateHitRate({ rows, encoder, k: 50 })).k).toBe(5);
  });

  test.each([
    [{ rows: [] }, /`rows` to be one row at least/],
    [{ rows: [{ question: 'q' }] }, /`rows\[0\].context`/],
    [{ encoder: {} }, /SentenceTransformer/],
    [{ k: 0 }, /`k`/],
    [{ corpus: [] }, /`corpus`/],
    [{ metric: 'l1' }, /`metric` to be one of 'l2', 'cosine', 'dot'/],
  ])('refuses %j', async (options, message) => {
    await expect(evaluateHitRate({ rows, encoder, ...options } as HitRateOptions)).rejects.toThrow(message);
  });

  test('an abort stops it', async () => {
    await expect(evaluateHitRate({ rows, encoder, signal: AbortSignal.abort('stop') })).rejects.toBe('stop');
  });
});

describe('evaluateHitRateWithRerank', () => {
  const crossEncoder = new FakeCrossEncoder();

  test('orders biK candidates by the cross-encoder and cuts at crossK', async () => {
    const report = await evaluateHitRateWithRerank({ rows, encoder, crossEncoder, biK: 3, crossK: 1 });
    // Logits: one 9, two 8, three 7, zero 1.
    expect(report.predictions).toEqual([[1], [1], [1], [2], [2]]);
    expect(report).toMatchObject({ biK: 3, crossK: 1, k: 1, hitRate: 1 / 5, uncutHitRate: 1 });
    expect(report.retrieval).toMatchObject({ k: 3, hitRate: 1 });
    expect(report.retrieval.predictions[0]).toEqual([0, 1, 2]);
    const { embedding, search, rerank, total } = report.secondsPerQuery;
    expect(rerank).toBeGreaterThan(0);
    expect(total).toBeCloseTo(embedding + search + rerank, 12);
  });

  test('biK 30 and crossK 10 unless given; the blend adds the retrieval score', async () => {
    const report = await evaluateHitRateWithRerank({ rows, encoder, crossEncoder });
    expect(report).toMatchObject({ biK: 30, crossK: 10, hitRate: 1, uncutHitRate: 1 });
    expect(await evaluateHitRateWithRerank({ rows, encoder, crossEncoder, biK: 3 })).toMatchObject({ crossK: 3, k: 3 });
    const blended = await evaluateHitRateWithRerank({ rows, encoder, crossEncoder, biK: 3, crossK: 1, blend: 1000 });
    expect(blended.predictions).toEqual([[0], [2], [0], [3], [3]]); // the order of retrieval
  });

  test('refuses a cut beyond the candidates', async () => {
    const options = { rows, encoder, crossEncoder, biK: 5, crossK: 6 };
    await expect(evaluateHitRateWithRerank(options)).rejects.toThrow(/`biK` to be an integer of at least 6/);
    await expect(evaluateHitRateWithRerank({ ...options, biK: 6, crossEncoder: {} as any })).rejects.toThrow(
      /CrossEncoder/,
    );
  });
});

test('evaluateBm25HitRate', async () => {
  const questions = [
    { question: 'which animal barks', context: 'a dog barks' },
    { question: 'which animal is quiet', context: 'the cat sleeps' },
  ];
  const report = await evaluateBm25HitRate({ rows: questions, k: 1 });
  expect(report).toMatchObject({ hitRate: 1 / 2, hitRates: { 1: 1 / 2 }, predictions: [[0], []] });
});
