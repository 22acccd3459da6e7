/** What the road takes and what it gives. */
import type { InputExample } from '../data/index.js';
import type { QuestionContext } from '../evaluate/index.js';
import type { EncoderConfig } from '../model/index.js';
import type { RetrieverMetric } from '../retriever/index.js';

/** A model of random weights, where there is none to start from. */
export interface RandomStart {
  /** As in transformers' config.json, or the path of one. */
  readonly config: string | EncoderConfig;
  /** Directory with tokenizer.json and tokenizer_config.json. */
  readonly tokenizer: string;
  /** The run's unless given. */
  readonly seed?: number | undefined;
}

/** What training starts from: a model's directory or Hub id, or random weights. */
export type ModelStart = string | RandomStart;

/** Data that was split before. */
export interface TuneData {
  readonly train: readonly QuestionContext[];
  readonly test: readonly QuestionContext[];
  /** Rows to choose the blend's weight by; taken from the training rows unless given. */
  readonly validation?: readonly QuestionContext[] | undefined;
  /** Further texts to be searched besides the rows' own contexts. */
  readonly corpus?: readonly string[] | undefined;
}

/** Datasets that are known by name; 'pairs' is any file with a question and a context in each record. */
export const tuneDatasets = ['pairs', 'klue-mrc', 'korquad', 'beir'] as const;
/** One of them. */
export type TuneDataset = (typeof tuneDatasets)[number];

/** How a model is trained. */
export interface TuneTraining {
  /** 1 unless given (STS: 4). */
  readonly epochs?: number | undefined;
  /** 16 unless given. */
  readonly batchSize?: number | undefined;
  /** 2e-5 unless given. */
  readonly learningRate?: number | undefined;
  /** Other learning rates, by the start of parameters' names. */
  readonly learningRates?: Readonly<Record<string, number>> | undefined;
  /** A tenth of the steps unless given. */
  readonly warmupSteps?: number | undefined;
  /** Steps after which training ends, though epochs are left. */
  readonly maxSteps?: number | undefined;
}

/** What {@link tune} takes. */
export interface TuneOptions {
  /** Questions with the contexts that answer them: a file, a dataset, rows, or rows that are split already. */
  readonly data: string | readonly QuestionContext[] | TuneData;
  /** What a path in `data` holds; 'pairs' unless given. */
  readonly dataset?: TuneDataset | undefined;
  /** The fields that are question and context, where `data` is a file of pairs. */
  readonly textFields?: readonly string[] | undefined;
  /** Which part of a dataset is read ('train' of BEIR unless given), and which one the test rows come from, if another. */
  readonly split?: string | undefined;
  readonly testSplit?: string | undefined;
  /** The bi-encoder to start from; the one that comes with flatrank unless given. */
  readonly model?: ModelStart | undefined;
  /** Directory for models, store and reports; a run that was interrupted goes on from what is there. */
  readonly out: string;
  /** Test rows: how many, or which share, as in `trainTestSplit`; 0.2 unless given. */
  readonly testSize?: number | undefined;
  /** Of the training rows, those to choose the blend's weight by; a tenth, at most 200, unless given. */
  readonly validationSize?: number | undefined;
  /** 'question' splits rows, 'context' keeps all questions of a context on one side. 'question' unless given. */
  readonly splitBy?: 'question' | 'context' | undefined;
  /** Of splits, order, dropout, new weights and negatives; 42 unless given. */
  readonly seed?: number | undefined;
  /** What test questions search: 'all' distinct contexts, or those of the 'test' rows, duplicates kept. 'all' unless given. */
  readonly searched?: 'all' | 'test' | undefined;
  /** How texts are compared; the model's own similarity unless given. */
  readonly metric?: RetrieverMetric | undefined;
  /** Longest text in tokens, up to the model's. */
  readonly maxSeqLength?: number | undefined;
  /** Training of the bi-encoder with MultipleNegativesRankingLoss of this `scale` (20). */
  readonly biEncoder?: (TuneTraining & { readonly scale?: number | undefined }) | undefined;
  readonly crossEncoder?: TuneCrossEncoder | undefined;
  /** Training on pairs of texts with a score before all else. */
  readonly sts?: TuneSts | undefined;
  /** Candidates that the cross-encoder reads (30), and how many of them are kept (10). */
  readonly biK?: number | undefined;
  readonly crossK?: number | undefined;
  /** Of the test questions, the first so many are reranked; all unless given. */
  readonly rerankQuestions?: number | undefined;
  /** Test questions whose pairs with their own and another context are scored; 100 unless given. */
  readonly pairQuestions?: number | undefined;
  /** Steps between two checkpoints of a training; 100 unless given. */
  readonly checkpointSaveSteps?: number | undefined;
  /** Called as the road goes on. */
  readonly onProgress?: ((progress: TuneProgress) => void) | undefined;
  /** Aborting leaves what is done in `out` and rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/** Training of the cross-encoder. */
export interface TuneCrossEncoder extends TuneTraining {
  /**
   * Its body, or a cross-encoder of one label, which keeps its head. Unless given the tuned bi-encoder, or where `model` is
   * what comes with flatrank the cross-encoder that does.
   */
  readonly body?: ModelStart | undefined;
  /** Longest pair in tokens, up to the model's. */
  readonly maxLength?: number | undefined;
  /** Negatives a question drawn from the tuned bi-encoder's first `biK`, besides the random one; 0 unless given. */
  readonly hardNegatives?: number | undefined;
}

/** Training on similarity, as KLUE-STS has it. */
export interface TuneSts extends TuneTraining {
  /** A file or dataset as `flatrank train sts` reads it, or examples with labels from 0 to 1. */
  readonly data: string | readonly InputExample[];
  /** What it is measured by; a tenth of `data` unless given. */
  readonly dev?: string | readonly InputExample[] | undefined;
}

/** The stages of the road, in order. */
export const tuneStages = [
  'bm25',
  'base',
  'sts',
  'sts-evaluation',
  'bi-encoder',
  'tuned',
  'negatives',
  'cross-encoder',
  'pairs',
  'validation',
  'rerank',
  'store',
] as const;
/** One of them. 'sts' and 'sts-evaluation' are there with `sts` alone, 'negatives' where some are mined. */
export type TuneStage = (typeof tuneStages)[number];

/** How far a stage is. */
export interface TuneProgress {
  readonly stage: TuneStage;
  readonly done: number;
  readonly total: number;
  /** The loss, while a model is trained. */
  readonly loss?: number | undefined;
}

/** A way to answer questions: its measures over the test questions. */
export interface TuneSystem {
  readonly name: 'bm25' | 'base' | 'sts' | 'tuned' | 'reranked' | 'blended';
  readonly label: string;
  /** Of the test questions, the first so many. */
  readonly questions: number;
  /** By k. */
  readonly hitRates: Readonly<Record<string, number>>;
  /** Over the first `crossK`. */
  readonly mrr: number;
  /** Correlation of scores with 1 for a question's own context and 0 for another; null where it was not measured. */
  readonly pearson: number | null;
  readonly spearman: number | null;
  readonly secondsPerQuery: number;
}

/** A question that one system answers and the other does not. Ranks are from 1; null is beyond `crossK`. */
export interface ChangedQuestion {
  readonly question: string;
  readonly context: string;
  readonly from: number | null;
  readonly to: number | null;
}

/** What the step from one system to another won and lost at k, with the two-sided sign test's p. */
export interface TuneChange {
  readonly from: TuneSystem['name'];
  readonly to: TuneSystem['name'];
  readonly questions: number;
  readonly counts: Readonly<Record<string, { readonly won: number; readonly lost: number; readonly p: number }>>;
  /** Some of them, at k = `crossK`. */
  readonly won: readonly ChangedQuestion[];
  readonly lost: readonly ChangedQuestion[];
}

/** What a training did. */
export interface TuneTrained {
  readonly examples: number;
  readonly steps: number;
  readonly tokens: number;
  /** Mean loss over the last steps, at most 100. */
  readonly loss: number;
  readonly seconds: number;
}

/** A weight of the retrieval score in the blend, and what it came to on the validation rows. */
export interface BlendTried {
  readonly weight: number;
  readonly hitRate: number;
  readonly mrr: number;
}

/** What {@link tune} gives, and writes as `report.json`. */
export interface TuneReport {
  readonly format: 1;
  readonly systems: readonly TuneSystem[];
  /** By system and k: the hit rates at every k up to `biK`, over the questions that were reranked. */
  readonly curves: Readonly<Record<string, readonly number[]>>;
  /** The hit rate over all `biK` candidates: the most that reranking can come to. */
  readonly uncutHitRate: number;
  readonly blend: { readonly weight: number; readonly questions: number; readonly tried: readonly BlendTried[] };
  /** Spearman's and Pearson's correlation on the STS dev pairs. */
  readonly sts:
    | { readonly pairs: number; readonly before: Correlation; readonly after: Correlation; readonly tuned: Correlation }
    | undefined;
  readonly training: Readonly<Partial<Record<'sts' | 'bi-encoder' | 'cross-encoder', TuneTrained>>>;
  readonly changes: readonly TuneChange[];
  readonly data: {
    readonly sha256: string;
    readonly train: number;
    readonly validation: number;
    readonly test: number;
    readonly contexts: number;
    /** Training questions that the cross-encoder may see: those whose context is no test or validation question's. */
    readonly crossEncoderQuestions: number;
    /** Rows left out, as they were there already. */
    readonly duplicates: number;
  };
  /** Everything that decides what happens. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Of weights, tokenizer and settings; the base has none where it began with random weights. */
  readonly fingerprints: { readonly base: string | null; readonly tuned: string; readonly crossEncoder: string };
  readonly environment: Readonly<Record<string, string | number>>;
  /** By stage. */
  readonly seconds: Readonly<Record<string, number>>;
}

/** Of scores with labels. */
export interface Correlation {
  readonly pearson: number | null;
  readonly spearman: number | null;
}
