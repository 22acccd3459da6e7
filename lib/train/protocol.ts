/** What {@link fit} and its training thread say to each other. Everything here survives a structured clone. */
import type { Metrics } from '../evaluate/index.js';
import type { WireError } from '../runtime/protocol.js';
import type { TrainingExample } from './examples.js';
import type { FitProgress, FitReport, TrainingPlan } from './options.js';

/** What a training thread is started with. */
export interface TrainingSpec {
  readonly kind: 'sentence-transformer' | 'cross-encoder';
  /** The model as it was saved. */
  readonly directory: string;
  /** Where weights go, for evaluations and in the end: a directory with the model's other files. */
  readonly current: string;
  readonly threads: number;
  readonly plan: TrainingPlan;
}

/** To the thread. Examples come in slices, objective after objective. */
export type TrainingRequest =
  | { readonly type: 'examples'; readonly objective: number; readonly examples: readonly TrainingExample[] }
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  /** Answers 'evaluate' and 'best'. */
  | { readonly type: 'evaluated'; readonly result: { readonly score: number; readonly metrics: Metrics } | undefined }
  | { readonly type: 'saved' };

/** From the thread. The weights are in `current` when 'evaluate' and 'done' come. */
export type TrainingReply =
  | { readonly type: 'progress'; readonly progress: FitProgress }
  | { readonly type: 'evaluate'; readonly epoch: number; readonly step: number }
  | { readonly type: 'best' }
  | { readonly type: 'done'; readonly report: FitReport }
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: WireError };
