/** The reference experiment by name, and its two kin that need no network: options for the road, with their data. */
import { join } from 'node:path';
import {
  loadKlueMrc,
  loadKlueSts,
  loadKorQuad,
  readJsonl,
  trainTestSplit,
  type InputExample,
  type StsRow,
} from '../data/index.js';
import { stringField } from '../data/record.js';
import type { QuestionContext } from '../evaluate/index.js';
import { Generator } from '../random/index.js';
import type { ModelStart, TuneData, TuneOptions } from './types.js';

/** 'reference' on KLUE from the Hub, 'small' on KLUE-STS and KorQuAD, 'english' on documentation. */
export const reproductions = ['reference', 'small', 'english'] as const;
/** One of them. */
export type Reproduction = (typeof reproductions)[number];

/** Where a reproduction finds what it needs. */
export interface ReproductionSource {
  /** Directory with the data; the Hub's `klue` where it is not given (reference only). */
  readonly data?: string | undefined;
  /** Another model to start from. */
  readonly model?: ModelStart | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What {@link tune} takes to run one of them, but `out`. */
export function reproduction(kind: Reproduction, source: ReproductionSource): Promise<Omit<TuneOptions, 'out'>> {
  return { reference, small, english }[kind](source);
}

const seed = 42;

/**
 * The experiment as published: klue/roberta-base trained on KLUE-STS, then on KLUE-MRC; klue/roberta-small as the
 * cross-encoder; 1,000 questions of the validation split against their own contexts, by L2 distance.
 */
async function reference({ data = 'klue', model, signal }: ReproductionSource): Promise<Omit<TuneOptions, 'out'>> {
  const part = (split: string) => ({ split, ...(signal ? { signal } : {}) });
  const similar = await loadKlueSts(data, part('train'));
  const train = await loadKlueMrc(data, part('train'));
  const questions = await loadKlueMrc(data, part('validation'));
  const { test } = trainTestSplit(questions, { testSize: 1000, seed });
  const common = { batchSize: 16, learningRate: 2e-5, warmupSteps: 100 };
  return {
    data: { train, test },
    model: model ?? 'klue/roberta-base',
    sts: {
      data: examplesOf(trainTestSplit(similar, { testSize: 0.1, seed }).train),
      dev: examplesOf(await loadKlueSts(data, part('validation'))),
      epochs: 4,
      ...common,
    },
    biEncoder: common,
    crossEncoder: { ...common, body: 'klue/roberta-small' },
    ...{ searched: 'test', metric: 'l2', biK: 30, crossK: 10, pairQuestions: 100, seed, signal },
  };
}

/** The same road on KLUE-STS and KorQuAD, from a small BERT of random weights. */
async function small({ data = 'data', model, signal }: ReproductionSource): Promise<Omit<TuneOptions, 'out'>> {
  const tokenizer = join(data, '../models/wordpiece-ko-en-16k');
  const options = signal ? { signal } : {};
  const similar = await loadKlueSts(join(data, 'klue/klue_sts_train.csv'), options);
  // As it is, its ten questions that come twice included: the split that the published figures have.
  const questions = await loadKorQuad(join(data, 'korquad/KorQuAD_v1.0_dev.json'), options);
  return {
    data: trainTestSplit(questions, { testSize: 1000, seed }),
    model: model ?? { config: join(tokenizer, 'config-small.json'), tokenizer },
    sts: {
      data: examplesOf(trainTestSplit(similar, { testSize: 0.1, seed }).train),
      dev: examplesOf(await loadKlueSts(join(data, 'klue/klue-sts-v1.1_dev.json'), options)),
      ...{ epochs: 4, learningRate: 1e-4, warmupSteps: 100 },
    },
    biEncoder: { learningRate: 1e-4, warmupSteps: 30 },
    crossEncoder: {
      ...{ epochs: 2, learningRate: 1e-4, learningRates: { classifier: 5e-4, 'pooler.': 5e-4 } },
      ...{ hardNegatives: 1, maxLength: 256 },
    },
    ...{ maxSeqLength: 256, metric: 'cosine', seed, signal },
  };
}

/** Titles of documentation and the sections under them, from a pre-trained model; test pages are held out whole. */
async function english({ data = 'data', model, signal }: ReproductionSource): Promise<Omit<TuneOptions, 'out'>> {
  return {
    data: await documentation(join(data, 'docs/docs-en.jsonl.gz'), signal),
    model: model ?? 'sentence-transformers/all-MiniLM-L6-v2',
    biEncoder: { learningRate: 5e-5, warmupSteps: 10 },
    crossEncoder: {
      ...{ batchSize: 8, learningRate: 5e-5, learningRates: { classifier: 5e-4, 'pooler.': 5e-4 } },
      ...{ hardNegatives: 1, maxLength: 80 },
    },
    ...{ maxSeqLength: 96, metric: 'cosine', rerankQuestions: 200, seed, signal },
  };
}

function examplesOf(rows: readonly StsRow[]): InputExample[] {
  return rows.map(({ sentence1, sentence2, score }) => ({ texts: [sentence1, sentence2], label: score }));
}

/** A section of a page. */
interface Section extends QuestionContext {
  readonly page: string;
}

/** The pages of two projects: 500 test questions of a fifth of the pages; 1,600 and 200 of the others to learn from. */
async function documentation(path: string, signal: AbortSignal | undefined): Promise<TuneData> {
  const rows: Section[] = [];
  for await (const { line, fields } of readJsonl(path)) {
    signal?.throwIfAborted();
    const field = (name: string): string => stringField(`${path}:${line}`, fields, name);
    const [source, title, pageTitle] = [field('source'), field('title'), field('page_title')];
    if (source !== 'react' && source !== 'vue') continue;
    const question = pageTitle === '' || pageTitle === title ? title : `${pageTitle} ${title}`;
    rows.push({ question, context: field('text'), page: `${source} ${field('page')}` });
  }
  const pages = [...new Set(rows.map(({ page }) => page))];
  const order = new Generator(seed).permutation(pages.length);
  const held = new Set(Array.from(order.subarray(0, Math.ceil(0.2 * pages.length)), (i) => pages[i]!));
  const [questions, contexts] = [counts(rows.map((r) => r.question)), counts(rows.map((r) => r.context))];
  // A question of two sections, or a section of two questions, has no one answer.
  const usable = rows.filter((row) => questions.get(row.question) === 1 && contexts.get(row.context) === 1);
  const shuffled = (list: readonly Section[]): QuestionContext[] =>
    Array.from(new Generator(seed).permutation(list.length), (i) => ({
      question: list[i]!.question,
      context: list[i]!.context,
    }));
  const training = shuffled(usable.filter(({ page }) => !held.has(page)));
  return {
    test: shuffled(usable.filter(({ page }) => held.has(page))).slice(0, 500),
    train: training.slice(0, 1600),
    validation: training.slice(1600, 1800),
    corpus: rows.map(({ context }) => context),
  };
}

function counts(values: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return found;
}
