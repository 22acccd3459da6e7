/** What a run would cost, from a short timing. */
import { positivePairs, type InputExample } from '../data/index.js';
import { Generator } from '../random/index.js';
import {
  BinaryCrossEntropyLoss,
  CosineSimilarityLoss,
  fit,
  MultipleNegativesRankingLoss,
  type FitOptions,
  type Trainable,
} from '../train/index.js';
import { openCrossEncoder, openEncoder, using } from './models.js';
import { crossExamples } from './negatives.js';
import { prepare } from './run.js';
import { fitOptions, stepsOf } from './training.js';
import { tuneStages, type TuneOptions, type TuneStage } from './types.js';

/** What {@link estimateTune} gives. */
export interface TuneEstimate {
  /** By stage, those that take next to nothing left out. */
  readonly seconds: Readonly<Partial<Record<TuneStage, number>>>;
  readonly total: number;
  /** Steps of each training. */
  readonly steps: Readonly<Record<string, number>>;
}

/** Texts, questions and steps that are timed. */
const timed = { texts: 128, questions: 8, steps: 3 };

/**
 * Times a few texts, questions, pairs and training steps of a run, and says what all of it would take on this machine.
 * Writes nothing.
 * @throws FlatrankError as `tune`
 */
export async function estimateTune(o: TuneOptions): Promise<TuneEstimate> {
  const { plan, data, sts } = await prepare(o);
  const { signal } = o;
  const random = new Generator(plan.seed);
  const some = <T>(list: readonly T[], n: number): T[] =>
    Array.from(random.permutation(list.length).subarray(0, n), (i) => list[i]!);

  const loss = new MultipleNegativesRankingLoss({ scale: plan.biEncoder.scale });
  const positives = positivePairs([...data.train]);
  const bi = await using(openEncoder(plan.model, plan.maxSeqLength, signal), async (encoder) => {
    const texts = some(data.corpus, timed.texts);
    await encoder.encode(texts.slice(0, 4), { signal });
    const perText = (await seconds(() => encoder.encode(texts, { signal }))) / texts.length;
    const asked = some(data.test, timed.questions);
    const perQuestion =
      (await seconds(async () => {
        for (const { question } of asked) await encoder.encode(question, { signal });
      })) / asked.length;
    const stsStep =
      sts && plan.sts
        ? await stepSeconds(encoder, some(sts.train, plan.sts.batchSize * timed.steps), (examples) =>
            fitOptions(examples, new CosineSimilarityLoss(), plan.sts!, plan.seed),
          )
        : 0;
    const step = await stepSeconds(encoder, some(positives, plan.biEncoder.batchSize * timed.steps), (examples) =>
      fitOptions(examples, loss, plan.biEncoder, plan.seed),
    );
    return { perText, perQuestion, step, stsStep };
  });

  const { body, maxLength, hardNegatives, batchSize } = plan.crossEncoder;
  const examples = crossExamples(data, undefined, plan.seed);
  const opened = openCrossEncoder(body ?? plan.model, maxLength, plan.seed, signal);
  const cross = await using(opened, async (model) => {
    const pairs = some(examples, plan.biK).map(({ texts }) => [texts[0]!, texts[1]!] as const);
    await model.predict(pairs.slice(0, 2), { signal });
    const perPair = (await seconds(() => model.predict(pairs, { signal }))) / pairs.length;
    const step = await stepSeconds(model, some(examples, batchSize * timed.steps), (few) =>
      fitOptions(few, new BinaryCrossEntropyLoss(), plan.crossEncoder, plan.seed),
    );
    return { perPair, step };
  });

  const steps = {
    ...(sts && plan.sts ? { sts: stepsOf(sts.train.length, plan.sts) } : {}),
    'bi-encoder': stepsOf(positives.length, plan.biEncoder),
    'cross-encoder': stepsOf(examples.length + hardNegatives * data.apart.length, plan.crossEncoder),
  };
  const searched = plan.searched === 'all' ? data.corpus.length : data.test.length;
  // Each question is asked alone, and once more with the others.
  const evaluation = (questions: number): number => searched * bi.perText + questions * 2 * bi.perQuestion;
  const reading = (questions: number): number => questions * Math.min(plan.biK, searched) * cross.perPair;
  const stages: Partial<Record<TuneStage, number>> = {
    base: evaluation(data.test.length),
    sts: (steps.sts ?? 0) * bi.stsStep,
    'sts-evaluation': steps.sts === undefined ? 0 : evaluation(data.test.length),
    'bi-encoder': steps['bi-encoder'] * bi.step,
    tuned: evaluation(data.test.length + data.validation.length),
    negatives: hardNegatives > 0 ? 2 * data.apart.length * bi.perText : 0,
    'cross-encoder': steps['cross-encoder'] * cross.step,
    validation: reading(data.validation.length),
    rerank: reading(plan.rerankQuestions ?? data.test.length),
    store: data.corpus.length * bi.perText,
  };
  const known = tuneStages.flatMap((stage) => (stages[stage] ? [[stage, stages[stage]] as const] : []));
  return { seconds: Object.fromEntries(known), total: known.reduce((sum, [, value]) => sum + value, 0), steps };
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** The time of a step: of the last ones of a short training, as the first one also makes the graph ready. */
async function stepSeconds(
  model: Trainable,
  examples: readonly InputExample[],
  optionsOf: (examples: readonly InputExample[]) => object,
): Promise<number> {
  const ends: number[] = [];
  await fit(model, {
    ...(optionsOf(examples) as FitOptions<NoInfer<Trainable>>),
    epochs: 1,
    onProgress: () => {
      ends.push(performance.now());
    },
  });
  if (ends.length < 2) return 0;
  return (ends.at(-1)! - ends[0]!) / 1000 / (ends.length - 1);
}
