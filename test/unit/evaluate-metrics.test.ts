/** Toy corpora whose answers can be worked out by hand, and what holds for any data. */
import {
  Bm25,
  EmbeddingSimilarityEvaluator,
  FlatrankError,
  InformationRetrievalEvaluator,
  Matrix,
  pearson,
  retrievalMetrics,
  SequentialEvaluator,
  spearman,
  TripletEvaluator,
  type EvaluatedEncoder,
} from 'flatrank';
import { describe, expect, test } from 'vitest';
import { Generator } from '../../lib/random/index.js';

/** Embeds 'x,y anything' as (x, y); counts calls. */
class TableEncoder implements EvaluatedEncoder {
  readonly calls: string[][] = [];
  constructor(readonly similarityFnName = 'cosine') {}

  encode(texts: readonly string[]): Promise<Matrix> {
    this.calls.push([...texts]);
    const values = texts.flatMap((text) => text.split(' ')[0]!.split(',').map(Number));
    return Promise.resolve(new Matrix(Float32Array.from(values), texts.length, values.length / texts.length));
  }
}

describe('pearson and spearman', () => {
  test('by hand', () => {
    expect(pearson([1, 2, 3], [2, 4, 6])).toBeCloseTo(1, 15);
    expect(pearson([1, 2], [5, -7])).toBeCloseTo(-1, 15);
    expect(spearman([1, 2, 3, 4], [1, 8, 27, 1000])).toBeCloseTo(1, 15);
    // Ranks 1.5 1.5 3 and 1 2 3: 0.866.
    expect(spearman([1, 1, 2], [1, 2, 3])).toBeCloseTo(Math.sqrt(3) / 2, 12);
    expect(pearson([0.1, 0.1, 0.1], [1, 2, 3])).toBeNaN();
    expect(spearman([1, NaN, 3], [1, 2, 3])).toBeNaN();
    expect(pearson(Float32Array.of(1e30, 2e30, 4e30), [1e-300, 2e-300, 4e-300])).toBeCloseTo(1, 6);
  });

  test('bounded, symmetric, indifferent to order, scale and offset', () => {
    const random = new Generator(3);
    for (let round = 0; round < 50; round++) {
      const n = 2 + random.integers(30);
      const draw = (): number[] => Array.from({ length: n }, () => random.integers(9) - 4);
      const [a, b] = [draw(), draw()];
      const order = [...random.permutation(n)];
      for (const measure of [pearson, spearman]) {
        const value = measure(a, b);
        if (Number.isNaN(value)) {
          expect(new Set(a).size === 1 || new Set(b).size === 1).toBe(true);
          continue;
        }
        expect(Math.abs(value)).toBeLessThanOrEqual(1);
        expect(measure(b, a)).toBeCloseTo(value, 12);
        expect(
          measure(
            order.map((i) => a[i]!),
            order.map((i) => 7 - 2 * b[i]!),
          ),
        ).toBeCloseTo(-value, 12);
      }
    }
  });

  test.each([
    [[1], [1], /`a` to be two numbers at least/],
    [[1, 2], [1, 2, 3], /`b` to be 2 numbers/],
    [null, [1, 2], /`a` to be an array of numbers/],
  ])('refuses %j and %j', (a, b, message) => {
    expect(() => pearson(a!, b)).toThrow(message);
    expect(() => spearman(a!, b)).toThrow(message);
  });
});

describe('retrievalMetrics', () => {
  test('by hand', () => {
    // Query 1: relevant at ranks 1 and 3 of 3 relevant ones; query 2: the one relevant is at rank 2.
    const rankings = [
      ['a', 'x', 'b', 'y'],
      ['x', 'c', 'y', 'z'],
    ];
    const relevant = [new Set(['a', 'b', 'missing']), new Set(['c'])];
    const k = [1, 3];
    const metrics = retrievalMetrics(rankings, relevant, {
      accuracyAtK: k,
      precisionRecallAtK: k,
      ndcgAtK: [3],
      mrrAtK: k,
      mapAtK: [2, 4],
    });
    const log2 = Math.log2;
    const ideal = 1 + 1 / log2(3) + 1 / log2(4);
    const expected = {
      'accuracy@1': 1 / 2,
      'accuracy@3': 1,
      'precision@1': 1 / 2,
      'precision@3': (2 / 3 + 1 / 3) / 2,
      'recall@1': (1 / 3 + 0) / 2,
      'recall@3': (2 / 3 + 1) / 2,
      'ndcg@3': ((1 + 1 / log2(4)) / ideal + 1 / log2(3)) / 2,
      'mrr@1': 1 / 2,
      'mrr@3': (1 + 1 / 2) / 2,
      'map@2': (1 / 2 + 1 / 2) / 2,
      'map@4': ((1 + 2 / 3) / 3 + 1 / 2) / 2,
    };
    expect(Object.keys(metrics)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) expect(metrics[name], name).toBeCloseTo(value, 12);
  });

  test('within 0 and 1, growing with k, indifferent to the order of queries, 1 for a perfect ranking', () => {
    const random = new Generator(8);
    const ids = Array.from({ length: 12 }, (_, i) => `d${i}`);
    for (let round = 0; round < 40; round++) {
      const rankings = Array.from({ length: 5 }, () => random.shuffle([...ids]));
      const relevant = rankings.map(() => new Set(random.shuffle([...ids]).slice(0, 1 + random.integers(6))));
      const ranks = [1, 2, 5, 12, 30];
      const cutoffs = { accuracyAtK: ranks, precisionRecallAtK: ranks, ndcgAtK: ranks, mrrAtK: ranks, mapAtK: ranks };
      const metrics = retrievalMetrics(rankings, relevant, cutoffs);
      for (const value of Object.values(metrics)) {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1 + 1e-12);
      }
      for (const name of ['accuracy', 'recall', 'mrr'])
        for (let i = 1; i < ranks.length; i++)
          expect(metrics[`${name}@${ranks[i]!}`]).toBeGreaterThanOrEqual(metrics[`${name}@${ranks[i - 1]!}`]!);
      const turned = retrievalMetrics(rankings.toReversed(), relevant.toReversed(), cutoffs);
      for (const [name, value] of Object.entries(metrics)) expect(turned[name]).toBeCloseTo(value, 12);
      const perfect = rankings.map((ranking, i) =>
        ranking.toSorted((a, b) => Number(relevant[i]!.has(b)) - Number(relevant[i]!.has(a))),
      );
      const best = retrievalMetrics(perfect, relevant, cutoffs);
      for (const name of ['ndcg@5', 'map@12', 'mrr@1', 'accuracy@1', 'recall@12'])
        expect(best[name]).toBeCloseTo(1, 12);
    }
  });
});

describe('InformationRetrievalEvaluator', () => {
  const corpus = { b: '1,0', a: { title: '1,0', text: 'same vector' }, c: '0,1' };

  test('takes objects and Maps, ids, sets and relevances; ties go by id; equal texts are encoded once', async () => {
    const model = new TableEncoder();
    const inputs = [
      { queries: { q: '1,0', unjudged: '0,1' }, corpus, relevantDocs: { q: ['b'] } },
      {
        queries: new Map([['q', '1,0']]),
        corpus: new Map(Object.entries(corpus)),
        relevantDocs: new Map([
          [
            'q',
            new Map([
              ['b', 2],
              ['c', 0],
            ]),
          ],
        ]),
      },
      { queries: { q: '1,0' }, corpus, relevantDocs: { q: new Set(['b']), other: ['c'] } },
    ];
    for (const input of inputs) {
      const evaluator = new InformationRetrievalEvaluator({ ...input, accuracyAtK: [1, 2], name: 'toy' });
      expect(evaluator.primaryMetric).toBeUndefined();
      const metrics = await evaluator.evaluate(model);
      expect(metrics['toy_cosine_accuracy@1']).toBe(0); // 'a' comes before 'b'
      expect(metrics['toy_cosine_accuracy@2']).toBe(1);
      expect(metrics['toy_cosine_mrr@10']).toBe(0.5);
      expect(evaluator.primaryMetric).toBe('toy_cosine_ndcg@10');
    }
    const twice = new TableEncoder();
    const copies = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`d${i}`, '1,0']));
    await new InformationRetrievalEvaluator({
      queries: { q: '1,0' },
      corpus: copies,
      relevantDocs: { q: ['d8'] },
    }).evaluate(twice);
    expect(twice.calls).toEqual([['1,0'], ['1,0']]);
  });

  test.each(['cosine', 'dot', 'euclidean', 'manhattan'] as const)("by the model's own similarity: %s", async (name) => {
    const [metric] = Object.keys(
      await new InformationRetrievalEvaluator({ queries: { q: '1,0' }, corpus, relevantDocs: { q: ['b'] } }).evaluate(
        new TableEncoder(name),
      ),
    );
    expect(metric).toBe(`${name}_accuracy@1`);
  });

  test.each([
    [{ relevantDocs: { other: ['b'] } }, /`relevantDocs`/],
    [{ relevantDocs: { q: 'b' } }, /`relevantDocs\[q\]`/],
    [{ corpus: { b: 7 } }, /`corpus\[b\]`/],
    [{ queries: { q: null } }, /`queries\[q\]`/],
    [{ mrrAtK: [0] }, /`mrrAtK\[0\]`/],
    [{ scoreFunctions: ['cos'] }, /`scoreFunctions\[0\]`/],
  ])('refuses %j', (options, message) => {
    const valid = { queries: { q: '1,0' }, corpus, relevantDocs: { q: ['b'] } };
    expect(() => new InformationRetrievalEvaluator({ ...valid, ...options } as any)).toThrow(message);
  });
});

describe('evaluators and models', () => {
  const pairs = { sentences1: ['1,0', '0,1', '1,1'], sentences2: ['1,0', '1,0', '1,0'], scores: [1, 0, 0.5] };

  test('progress, abort, and a model that gives something else', async () => {
    const evaluator = new EmbeddingSimilarityEvaluator(pairs);
    const abort = AbortSignal.abort('stop');
    await expect(evaluator.evaluate(new TableEncoder(), { signal: abort })).rejects.toBe('stop');
    const wrong: EvaluatedEncoder = { encode: () => Promise.resolve(new Matrix(new Float32Array(2), 1, 2)) };
    await expect(evaluator.evaluate(wrong)).rejects.toThrow(/Expected 3 embeddings from the model/);
    await expect(evaluator.evaluate({} as any)).rejects.toThrow(FlatrankError);
    const strange = new TableEncoder('haversine');
    await expect(evaluator.evaluate(strange)).rejects.toThrow(/model.similarityFnName/);
    const seen: number[] = [];
    const telling: EvaluatedEncoder = {
      async encode(texts, options) {
        options?.onProgress?.({ done: texts.length, total: texts.length });
        return new TableEncoder().encode(texts);
      },
    };
    await evaluator.evaluate(telling, { onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen).toEqual([1]);
  });

  test('queries and documents are encoded as such where the model can', async () => {
    const roles: string[] = [];
    const encoder: EvaluatedEncoder = {
      encode: () => Promise.reject(new Error('not asked for')),
      encodeQuery: (texts) => (roles.push('query'), new TableEncoder().encode(texts)),
      encodeDocument: (texts) => (roles.push('document'), new TableEncoder().encode(texts)),
    };
    const triplets = { anchors: ['1,0'], positives: ['1,1'], negatives: ['0,1'] };
    expect(await new TripletEvaluator(triplets).evaluate(encoder)).toEqual({ cosine_accuracy: 1 });
    expect(roles).toEqual(['query', 'document']);
  });

  test('primary metrics', async () => {
    const primaryOf = async (options: object): Promise<string | undefined> => {
      const evaluator = new EmbeddingSimilarityEvaluator({ ...pairs, ...options });
      await evaluator.evaluate(new TableEncoder());
      return evaluator.primaryMetric;
    };
    expect(await primaryOf({})).toBe('spearman_cosine');
    expect(await primaryOf({ name: 'dev', similarityFnNames: ['dot', 'cosine'] })).toBe('dev_spearman_cosine');
    expect(await primaryOf({ similarityFnNames: ['dot', 'euclidean'] })).toBe('spearman_max');
    expect(await primaryOf({ mainSimilarity: 'manhattan' })).toBe('spearman_manhattan');
  });

  test('SequentialEvaluator takes any evaluator, and any way to make one score', async () => {
    const custom = { evaluate: () => Promise.resolve(0.25) };
    const named = new EmbeddingSimilarityEvaluator({ ...pairs, name: 'x' });
    const all = new SequentialEvaluator<EvaluatedEncoder>([named, custom], (scores) => Math.max(...scores));
    const metrics = await all.evaluate(new TableEncoder());
    expect(metrics).toMatchObject({ evaluator_1: 0.25, sequential_score: metrics['x_spearman_cosine'] });
    expect(all.primaryMetric).toBe('sequential_score');
    expect(await new SequentialEvaluator<EvaluatedEncoder>([custom]).evaluate(new TableEncoder())).toEqual({
      evaluator_0: 0.25,
      sequential_score: 0.25,
    });
    expect(() => new SequentialEvaluator([{} as any])).toThrow(/`evaluators`/);
  });

  test.each([
    [{ sentences2: ['a'] }, /`sentences2`/],
    [{ scores: [1, 2] }, /`scores` to be an array of 3 numbers/],
    [{ scores: [1, 2, NaN] }, /`scores\[2\]`/],
    [{ sentences1: 'abc' }, /`sentences1`/],
    [{ similarityFnNames: ['cos'] }, /`similarityFnNames\[0\]`/],
    [{ sentences1: [], sentences2: [], scores: [] }, /`scores` to be two numbers/],
  ])('EmbeddingSimilarityEvaluator refuses %j', (options, message) => {
    expect(() => new EmbeddingSimilarityEvaluator({ ...pairs, ...options } as any)).toThrow(message);
  });
});

describe('Bm25', () => {
  test('by hand', () => {
    const bm25 = new Bm25(['the cat', 'The dog, the dog!', '한국어 문서']);
    const { labels, scores } = bm25.search('DOG', 5);
    expect([...labels]).toEqual([1]);
    // One of three documents has it, twice, in 4 of 8/3 words on average.
    expect(scores[0]).toBeCloseTo(
      (Math.log(1 + 2.5 / 1.5) * (2 * 2.5)) / (2 + 1.5 * (0.25 + (0.75 * 4) / (8 / 3))),
      12,
    );
    expect([...bm25.search('the', 5).labels]).toEqual([1, 0]);
    expect([...bm25.search('문서', 5).labels]).toEqual([2]);
    expect([...bm25.search('nothing here', 5).labels]).toEqual([]);
  });
});
