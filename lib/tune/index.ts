/** The road: from questions with contexts to a tuned retriever, and what that bought. */
export { estimateTune, type TuneEstimate } from './estimate.js';
export { tune } from './tune.js';
export type {
  BlendTried,
  ChangedQuestion,
  Correlation,
  ModelStart,
  RandomStart,
  TuneChange,
  TuneCrossEncoder,
  TuneData,
  TuneDataset,
  TuneOptions,
  TuneProgress,
  TuneReport,
  TuneStage,
  TuneSts,
  TuneSystem,
  TuneTrained,
  TuneTraining,
} from './types.js';
