/** Training through the public surface, on models of two layers. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CrossEncoder,
  CosineSimilarityLoss,
  CrossEntropyLoss,
  fit,
  mineHardNegatives,
  MSELoss,
  MultipleNegativesRankingLoss,
  SentenceTransformer,
  TripletLoss,
  type FitOptions,
  type InputExample,
} from 'flatrank';
import { afterAll, describe, expect, it, vi } from 'vitest';

const golden = fileURLToPath(new URL('../fixtures/golden', import.meta.url));
const tinyBert = join(golden, 'models/tiny-bert');
const { rows } = JSON.parse(readFileSync(join(golden, 'train.json'), 'utf8'));
const examples: InputExample[] = rows.slice(0, 64).map(([a, b, score]: any) => ({ texts: [a, b], label: score / 5 }));
const folder = mkdtempSync(join(tmpdir(), 'flatrank-fit-test-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = () => SentenceTransformer.load(tinyBert, { maxSeqLength: 64 });
const sts: Pick<FitOptions<SentenceTransformer>, 'objectives'> = {
  objectives: [{ examples, loss: new CosineSimilarityLoss() }],
};
const quick = { ...sts, learningRate: 1e-3, warmupSteps: 2 };
const probe = async (model: SentenceTransformer): Promise<Float32Array> => (await model.encode(['하나', 'two'])).data;

describe('fit', () => {
  it('changes the model, and what is saved is what it has', async () => {
    await using model = await open();
    const before = await probe(model);
    const output = join(folder, 'plain');
    const steps: number[] = [];
    const report = await fit(model, { ...quick, outputPath: output, onProgress: ({ step }) => steps.push(step) });
    expect(steps).toEqual([1, 2, 3, 4]);
    expect(report).toMatchObject({ steps: 4, epochs: 1, evaluations: [], stoppedEarly: false });
    expect(report.losses).toHaveLength(4);
    const after = await probe(model);
    expect(after).not.toEqual(before);
    await using loaded = await SentenceTransformer.load(output);
    expect(await probe(loaded)).toEqual(after);
    // Its weights are its own: it can be saved again and trained on.
    await model.save(join(folder, 'again'));
    await fit(model, { ...quick, maxSteps: 1 });
  });

  it('is the same run for the same seed', async () => {
    const results: Float32Array[] = [];
    for (const seed of [1, 1, 2]) {
      await using model = await open();
      await fit(model, { ...quick, seed });
      results.push(await probe(model));
    }
    expect(results[0]).toEqual(results[1]);
    expect(results[0]).not.toEqual(results[2]);
  });

  it('leaves frozen parameters as they are', async () => {
    await using model = await open();
    await fit(model, { ...quick, freeze: ['embeddings.', /layer\.0\./], outputPath: join(folder, 'frozen') });
    const weights = async (directory: string) => {
      const { Weights } = await import('../../dist/formats/safetensors-weights.js');
      const file = await Weights.open(directory);
      return (name: string) => file.get(name).float32();
    };
    const [was, is] = [await weights(tinyBert), await weights(join(folder, 'frozen'))];
    for (const name of ['embeddings.word_embeddings.weight', 'encoder.layer.0.output.dense.bias'])
      expect(await is(name), name).toEqual(await was(name));
    const moved = 'encoder.layer.1.output.dense.weight';
    expect(await is(moved)).not.toEqual(await was(moved));
  });

  it('evaluators see the current weights; the best model is saved; training stops when nothing is gained', async () => {
    await using model = await open();
    const scores = [0.3, 0.5, 0.4, 0.45, 0.9];
    const seen: Float32Array[] = [];
    const evaluator = {
      async evaluate(current: SentenceTransformer) {
        seen.push(await probe(current));
        return { other: -1, quality: scores[seen.length - 1]! };
      },
      primaryMetric: 'quality',
    };
    const output = join(folder, 'best');
    const report = await fit(model, {
      ...quick,
      epochs: 5,
      evaluator,
      evaluationSteps: 2,
      earlyStopping: { patience: 2 },
      outputPath: output,
      logPath: join(folder, 'best.jsonl'),
    });
    expect(report).toMatchObject({ stoppedEarly: true, steps: 8, bestScore: 0.5, bestStep: 4 });
    expect(report.evaluations.map(({ step, score }) => [step, score])).toEqual([
      [2, 0.3],
      [4, 0.5],
      [6, 0.4],
      [8, 0.45],
    ]);
    expect(new Set(seen.map((values) => values.join())).size).toBe(4);
    await using best = await SentenceTransformer.load(output);
    expect(await probe(best)).toEqual(seen[1]);
    expect(await probe(model)).toEqual(seen[3]);
    const log = readFileSync(join(folder, 'best.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(log.filter(({ loss }) => loss !== undefined)).toHaveLength(8);
    expect(log.filter(({ quality }) => quality !== undefined).map(({ step }) => step)).toEqual([2, 4, 6, 8]);
  });

  it('has the best weights in the end where it is asked to', async () => {
    await using model = await open();
    const seen: Float32Array[] = [];
    const evaluator = {
      async evaluate(current: SentenceTransformer) {
        seen.push(await probe(current));
        return -seen.length;
      },
    };
    await fit(model, { ...quick, evaluator, evaluationSteps: 2, loadBestModel: true });
    expect(await probe(model)).toEqual(seen[0]);
  });

  it('several objectives take turns', async () => {
    await using model = await open();
    const triplets = examples.slice(0, 32).map(({ texts }, i) => ({ texts: [...texts, examples[63 - i]!.texts[0]!] }));
    const report = await fit(model, {
      objectives: [
        { examples, loss: new CosineSimilarityLoss() },
        { examples: triplets, loss: new TripletLoss() },
      ],
      warmupSteps: 0,
    });
    // Two batches of triplets, and as many of the others.
    expect(report.steps).toBe(4);
    expect(report.losses.filter((loss) => loss > 1)).toHaveLength(2);
  });

  it('learns the embeddings of a teacher, and goes on with them from a checkpoint', async () => {
    await using teacher = await SentenceTransformer.initialize(
      JSON.parse(readFileSync(join(tinyBert, 'config.json'), 'utf8')),
      tinyBert,
      { seed: 7 },
    );
    const texts = examples.map((example) => example.texts[0]!);
    const taught = await teacher.encode(texts);
    const objectives = [
      { examples: texts.map((text, i) => ({ texts: [text], label: taught.row(i) })), loss: new MSELoss() },
    ];
    const o = { ...quick, objectives, epochs: 4 };
    const distance = async (model: SentenceTransformer): Promise<number> =>
      (await model.encode(texts)).data.reduce((sum, value, i) => sum + (value - taught.data[i]!) ** 2, 0) /
      taught.data.length;
    await using whole = await open();
    const before = await distance(whole);
    const report = await fit(whole, o);
    expect(Math.abs(report.losses[0]! - before)).toBeLessThan(0.5 * before);
    expect(await distance(whole)).toBeLessThan(0.5 * before);
    await using halved = await open();
    const checkpoints = { checkpointPath: join(folder, 'taught'), checkpointSaveSteps: 1 };
    const stop = new AbortController();
    const onProgress = ({ step }: { step: number }): void => {
      if (step === 2) stop.abort(new Error('enough'));
    };
    await expect(fit(halved, { ...o, ...checkpoints, signal: stop.signal, onProgress })).rejects.toThrow('enough');
    await fit(halved, { ...o, ...checkpoints, resume: true });
    expect(await probe(halved)).toEqual(await probe(whole));
  });

  it('accumulated batches make the step of a large one', async () => {
    const results: Float32Array[] = [];
    for (const [batchSize, gradientAccumulationSteps] of [
      [32, 1],
      [16, 2],
    ] as const) {
      await using model = await open();
      const o = { ...quick, schedule: 'constant', warmupSteps: 0, shuffle: false } as const;
      const report = await fit(model, { ...o, batchSize, gradientAccumulationSteps });
      expect(report.steps).toBe(2);
      results.push(await probe(model));
    }
    results[0]!.forEach((value, i) => {
      expect(Math.abs(value - results[1]![i]!)).toBeLessThan(1e-4);
    });
  });

  it('trains a cross-encoder with the loss of its labels', async () => {
    for (const [name, labels] of [
      ['tiny-bert-cross', 1],
      ['tiny-bert-cross-3', 3],
    ] as const) {
      await using model = await CrossEncoder.load(join(golden, 'models', name), { maxLength: 64 });
      const pairs = examples.map(({ texts }, i) => ({ texts, label: labels === 1 ? (i % 2) * 0.5 : i % 3 }));
      const before = await model.predict([['a', 'b']]);
      const report = await fit(model, { objectives: [{ examples: pairs }], learningRate: 1e-3, warmupSteps: 0 });
      expect(report.losses[0]).toBeGreaterThan(labels === 1 ? 0.4 : 0.9);
      expect(await model.predict([['a', 'b']])).not.toEqual(before);
    }
  });

  it('stops when it is aborted, leaves a checkpoint, and goes on from it', async () => {
    const checkpointPath = join(folder, 'aborted');
    const whole = await open();
    await fit(whole, { ...quick, epochs: 3 });
    await using model = await open();
    const before = await probe(model);
    const stop = new AbortController();
    const reason = new Error('enough');
    const o = { ...quick, epochs: 3, checkpointPath };
    const onProgress = ({ step }: { step: number }): void => {
      if (step === 3) stop.abort(reason);
    };
    await expect(fit(model, { ...o, signal: stop.signal, onProgress })).rejects.toBe(reason);
    expect(await probe(model)).toEqual(before);
    expect(readdirSync(checkpointPath)).toHaveLength(1);
    const report = await fit(model, { ...o, resume: true });
    expect(report.steps).toBe(12);
    expect(report.losses.length).toBeLessThan(12);
    expect(await probe(model)).toEqual(await probe(whole));
    await whole.dispose();
    // A checkpoint is a model.
    await using loaded = await SentenceTransformer.load(join(checkpointPath, 'checkpoint-12'));
    expect(await probe(loaded)).toEqual(await probe(model));
    await expect(fit(model, { ...o, batchSize: 8, resume: true })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('`batchSize` to be 16'),
    });
  });

  it('ends a resumed run with the best model of all of it, also after scores that are no numbers', async () => {
    const scores = [NaN, 0.9, NaN, 0.4];
    const run = async (name: string, stopAt?: number): Promise<[Float32Array, Float32Array]> => {
      const outputPath = join(folder, name);
      const at = (step: number): number => scores[step - 1]!;
      let step = 0;
      const stop = new AbortController();
      const o: FitOptions<SentenceTransformer> = {
        ...quick,
        ...{ outputPath, loadBestModel: true, checkpointPath: join(folder, `${name}-checkpoints`), evaluationSteps: 1 },
        evaluator: { evaluate: () => Promise.resolve(at(step)) },
        onProgress: (progress) => {
          step = progress.step;
          if (step === stopAt) stop.abort(new Error('enough'));
        },
      };
      await using model = await open();
      if (stopAt !== undefined) {
        const first = fit(model, {
          ...o,
          evaluator: { evaluate: () => Promise.resolve(at(step)) },
          signal: stop.signal,
        });
        await expect(first).rejects.toThrow('enough');
        stopAt = undefined;
      }
      const report = await fit(model, { ...o, resume: true });
      expect(report).toMatchObject({ bestStep: 2, bestScore: 0.9 });
      expect(report.evaluations.map(({ score }) => score)).toEqual(scores);
      await using saved = await SentenceTransformer.load(outputPath);
      return [await probe(model), await probe(saved)];
    };
    const [whole, saved] = await run('best-whole');
    expect(saved).toEqual(whole);
    expect(await run('best-resumed', 3)).toEqual([whole, whole]);
    // Only the best is kept beside the checkpoints.
    expect(readdirSync(join(folder, 'best-resumed-checkpoints')).filter((name) => name.startsWith('best'))).toEqual([
      'best-2',
    ]);
  });

  it('refuses a folder for checkpoints that cannot be, before it trains', async () => {
    await using model = await open();
    const onProgress = vi.fn();
    await expect(
      fit(model, { ...quick, onProgress, checkpointPath: join(tinyBert, 'config.json', 'checkpoints') }),
    ).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', message: expect.stringContaining('`checkpointPath`') });
    expect(onProgress).not.toHaveBeenCalled();
  });

  it('refuses CrossEntropyLoss for one label', async () => {
    await using model = await CrossEncoder.load(join(golden, 'models/tiny-bert-cross'), { maxLength: 64 });
    const pairs = examples.map(({ texts }) => ({ texts, label: 0 }));
    await expect(fit(model, { objectives: [{ examples: pairs, loss: new CrossEntropyLoss() }] })).rejects.toMatchObject(
      { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('BinaryCrossEntropyLoss') },
    );
  });

  it('refuses a damaged checkpoint', async () => {
    const checkpointPath = join(folder, 'damaged');
    await using model = await open();
    const o = { ...quick, checkpointPath };
    await fit(model, o);
    const state = join(checkpointPath, 'checkpoint-4/trainer_state.json');
    writeFileSync(state, readFileSync(state, 'utf8').slice(0, 100));
    await expect(fit(model, { ...o, resume: true })).rejects.toMatchObject({ code: 'ERR_BAD_FILE' });
    rmSync(state);
    await expect(fit(model, { ...o, resume: true })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('stops at a loss that is no number, naming step and batch, and the model is as it was', async () => {
    const broken = join(folder, 'broken');
    cpSync(tinyBert, broken, { recursive: true });
    await using model = await SentenceTransformer.load(broken);
    const before = await probe(model);
    const run = fit(model, { ...sts, learningRate: 1e30, maxGradNorm: Infinity, warmupSteps: 0 });
    await expect(run).rejects.toMatchObject({
      code: 'ERR_NON_FINITE',
      message: expect.stringMatching(/at step 2, batch 2 of epoch 1/),
    });
    expect(await probe(model)).toEqual(before);
  });

  it('leaves nothing in the folder of temporary files', async () => {
    const temporary = join(folder, 'temporary');
    mkdirSync(temporary);
    vi.stubEnv('TMPDIR', temporary);
    const own = (): string[] => readdirSync(temporary).filter((name) => name.startsWith('flatrank-'));
    const model = await open();
    await fit(model, { ...quick, maxSteps: 1 });
    // The trained weights, as long as the model is in use.
    expect(own()).toHaveLength(1);
    await model.dispose();
    expect(own()).toEqual([]);
    vi.unstubAllEnvs();
  });

  it.each([
    ['objectives', { objectives: [] }],
    ['objectives[0].examples', { objectives: [{ examples: [], loss: new CosineSimilarityLoss() }] }],
    ['objectives[0].loss', { objectives: [{ examples }] }],
    [
      'objectives[0].examples[0].texts',
      { objectives: [{ examples: [{ texts: ['a'] }], loss: new MultipleNegativesRankingLoss() }] },
    ],
    [
      'objectives[0].examples[0].label',
      { objectives: [{ examples: [{ texts: ['a', 'b'] }], loss: new CosineSimilarityLoss() }] },
    ],
    ['objectives[0].examples[0].label', { objectives: [{ examples, loss: new MSELoss() }] }],
    [
      'objectives[0].examples[0].label[1]',
      {
        objectives: [
          { examples: [{ texts: ['a'], label: [1, NaN, ...Array<number>(30).fill(0)] }], loss: new MSELoss() },
        ],
      },
    ],
    ['epochs', { ...sts, epochs: 0 }],
    ['batchSize', { ...sts, batchSize: 1.5 }],
    ['learningRate', { ...sts, learningRate: NaN }],
    ['schedule', { ...sts, schedule: 'step' as never }],
    ['freeze', { ...sts, freeze: 'embeddings' as never }],
    ['freeze', { ...sts, freeze: [''] }],
    ['evaluator', { ...sts, earlyStopping: { patience: 1 } }],
    ['checkpointPath', { ...sts, resume: true }],
    ['signal', { ...sts, signal: 1 as never }],
  ])('refuses a bad `%s`', async (name, o) => {
    await using model = await open();
    await expect(fit(model, o as FitOptions<SentenceTransformer>)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(`\`${name}\``),
    });
  });
});

describe('mineHardNegatives', () => {
  it('takes the nearest texts that are not answers', async () => {
    await using model = await open();
    const pairs = [...new Map(examples.map((e) => [e.texts[0], e])).values()].slice(0, 20);
    const mined = await mineHardNegatives(model, pairs, { perQuery: 2, rangeMin: 1, rangeMax: 6 });
    expect(mined).toHaveLength(40);
    const corpus = [...new Set(pairs.map(({ texts }) => texts[1]!))];
    const all = await model.encode(corpus, { normalize: true });
    for (const [i, { texts }] of mined.entries()) {
      const [query, positive, negative] = texts as [string, string, string];
      expect(pairs[i >> 1]!.texts.slice(0, 2)).toEqual([query, positive]);
      const vector = await model.encode([query], { normalize: true });
      const score = (text: string): number => {
        const row = all.row(corpus.indexOf(text));
        return row.reduce((sum, x, k) => sum + x * vector.data[k]!, 0);
      };
      const others = corpus.filter((text) => text !== positive).sort((a, b) => score(b) - score(a));
      expect(others.indexOf(negative)).toBe(1 + (i & 1));
    }
    const tuples = await mineHardNegatives(model, pairs, { perQuery: 3, outputFormat: 'n-tuple' });
    expect(tuples.every(({ texts }) => texts.length === 5)).toBe(true);
    const strict = await mineHardNegatives(model, pairs, { margin: 2.1 });
    expect(strict).toEqual([]);
    // Of several positives the farthest counts for the margin, and rows that are there twice count once.
    const [{ texts: first }] = pairs as [InputExample];
    const question = await model.encode([first[0]!], { normalize: true });
    const similarity = (text: string): number =>
      all.row(corpus.indexOf(text)).reduce((sum, x, k) => sum + x * question.data[k]!, 0);
    const nearest = corpus.filter((text) => text !== first[1]).sort((a, b) => similarity(b) - similarity(a));
    const second = nearest[2]!;
    const more = [...pairs, pairs[0]!, { texts: [first[0]!, second] }];
    const both = await mineHardNegatives(model, more, { margin: 1e-4, rangeMin: 1, rangeMax: 18, perQuery: 2 });
    const least = Math.min(similarity(first[1]!), similarity(second));
    const expected = nearest.filter((text) => text !== second && similarity(text) + 1e-4 <= least).slice(1, 3);
    expect(expected).toHaveLength(2);
    expect(both.filter(({ texts }) => texts[0] === first[0]).map(({ texts }) => texts.slice(1))).toEqual([
      ...expected.map((negative) => [first[1], negative]),
      ...expected.map((negative) => [second, negative]),
    ]);
    await expect(mineHardNegatives(model, pairs, { rangeMin: 5, rangeMax: 5 })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(existsSync(folder)).toBe(true);
  });
});
