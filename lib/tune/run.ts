/** What a run of the road is made of, and what its stages give. */
import { trainTestSplit, type InputExample } from '../data/index.js';
import type { Found, Read } from './answers.js';
import { checkApart, loadRows, type SplitRows } from './data.js';
import { planOf, type TunePlan } from './options.js';
import { loadSts } from './read.js';
import type { Correlation, TuneOptions, TuneTrained } from './types.js';

/** STS pairs to train on and to measure by. */
export interface StsExamples {
  readonly train: readonly InputExample[];
  readonly dev: readonly InputExample[];
}

/** Everything a run is made of. */
export interface Run {
  readonly plan: TunePlan;
  readonly data: SplitRows;
  readonly sts: StsExamples | undefined;
}

/** What a bi-encoder came to. */
export interface Evaluated {
  readonly test: Found;
  /** Of the tuned one, on the validation rows. */
  readonly validation?: Found;
  readonly correlation: Correlation;
  /** On the STS dev pairs. */
  readonly sts?: Correlation;
  readonly fingerprint: string | null;
}

/** What the stages gave. */
export interface Results {
  readonly bm25: Pick<Found, 'ranks' | 'secondsPerQuery'>;
  readonly base: Evaluated;
  readonly sts: Evaluated | undefined;
  readonly tuned: Evaluated;
  /** Of the cross-encoder. */
  readonly pairs: Correlation & { readonly fingerprint: string };
  /** Of the candidates of validation and test questions. */
  readonly validation: Read;
  readonly rerank: Read;
  readonly trained: Readonly<Partial<Record<'sts' | 'bi-encoder' | 'cross-encoder', Omit<TuneTrained, 'seconds'>>>>;
}

/** Checks the options and reads the data. */
export async function prepare(o: TuneOptions): Promise<Run> {
  const plan = planOf(o);
  const data = await loadRows(o, plan);
  checkApart(data);
  if (o.sts === undefined) return { plan, data, sts: undefined };
  const examples = await loadSts(o.sts.data, o.signal);
  if (o.sts.dev !== undefined) return { plan, data, sts: { train: examples, dev: await loadSts(o.sts.dev, o.signal) } };
  const { train, test: dev } = trainTestSplit(examples, { testSize: 0.1, seed: plan.seed });
  return { plan, data, sts: { train, dev } };
}
