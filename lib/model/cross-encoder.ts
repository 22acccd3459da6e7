import { resolve } from 'node:path';
import { FlatrankError, checkInteger, checkObject, checkOneOf, checkString, invalidArgument } from '../errors.js';
import { warnOfFallback } from '../runtime/device.js';
import { ModelWorker } from '../runtime/model-worker.js';
import { modelThreads } from '../runtime/threads.js';
import { notify } from '../runtime/progress.js';
import type { BatchResult } from './jobs.js';
import type { EncoderConfig } from './configs.js';
import type { WeightsFrom } from './open-encoder.js';
import {
  checkCall,
  checkInitialize,
  checkLoad,
  checkSave,
  checkSeed,
  checkTexts,
  reportTruncated,
  type CallOptions,
  type InitializeOptions,
  type LoadOptions,
  type SaveOptions,
} from './options.js';
import { resolvePrompt } from './prompts.js';
import { disown, own, reload } from './reload.js';
import { boxModel, modelDirectory } from './resolve.js';
import type { CrossEncoderInfo, ModelSpec, PredictJobOptions } from './servant.js';

const workerEntry = new URL('./worker-main.js', import.meta.url);

/** What {@link CrossEncoder.load} takes. */
export interface CrossEncoderOptions extends LoadOptions {
  /** Longest pair in tokens; default the directory's. Never more than the position embeddings hold. */
  readonly maxLength?: number | undefined;
}

/** What {@link CrossEncoder.fromEncoder} takes. */
export interface FromEncoderOptions extends CrossEncoderOptions {
  /** Classes that the new head scores; default 1. */
  readonly numLabels?: number | undefined;
  /** The same seed gives the same head on every machine. Default 42. */
  readonly seed?: number | undefined;
}

/** What {@link CrossEncoder.initialize} takes. */
export interface CrossEncoderInitializeOptions extends InitializeOptions {
  /** Classes that the model scores; default 1. */
  readonly numLabels?: number | undefined;
  readonly maxLength?: number | undefined;
}

/** What {@link CrossEncoder.predict} takes. A prompt is put before the first text of each pair. */
export interface PredictOptions extends CallOptions {
  /** 'default' is the model's own. */
  readonly activation?: 'default' | 'none' | 'sigmoid' | 'softmax' | undefined;
}

/** What {@link CrossEncoder.rank} takes. */
export interface RankOptions extends PredictOptions {
  /** How many documents come back; default all. */
  readonly topK?: number | undefined;
}

/** A document's place in a ranking. */
export interface RankedDocument {
  /** Index into the documents given. */
  readonly corpusId: number;
  readonly score: number;
  readonly text: string;
}

/**
 * A cross-encoder: pairs of texts in, relevance or class scores out. Follows Python's sentence-transformers 6 in what it
 * reads of a directory and in what comes out. The model lives in a worker thread of its own.
 */
export class CrossEncoder {
  #worker: ModelWorker<CrossEncoderInfo>;
  /** Directory of the weights, where it is the model's own. */
  #owned: string | undefined;

  private constructor(worker: ModelWorker<CrossEncoderInfo>) {
    this.#worker = worker;
  }

  /**
   * Loads the model that comes with flatrank ('box-ko-en', which ranks Korean and English texts) where none is named. Else a
   * Hugging Face directory of a sequence classification model: a checkpoint (`model.safetensors`) of a known
   * architecture, else `onnx/model.onnx` or `model.onnx`; or a model of the Hub ('owner/name'), of which what is not
   * cached is downloaded.
   * @throws FlatrankError as `SentenceTransformer.load`; `ERR_UNSUPPORTED` also where the model gives no class scores
   */
  static load(dirOrHubId: string = boxModel, o: CrossEncoderOptions = {}): Promise<CrossEncoder> {
    return CrossEncoder.#open(dirOrHubId, o, { type: 'directory' });
  }

  /**
   * A pre-trained encoder's body with a new head of random weights, to be trained: as `CrossEncoder('klue/roberta-small',
   * num_labels=1)` in Python.
   * @throws FlatrankError as {@link load}; `ERR_UNSUPPORTED` also where the directory holds no checkpoint
   */
  static async fromEncoder(dirOrHubId: string, o: FromEncoderOptions = {}): Promise<CrossEncoder> {
    const labels = checkInteger('numLabels', checkObject('options', o).numLabels ?? 1);
    return CrossEncoder.#open(dirOrHubId, o, { type: 'new-head', labels, seed: checkSeed(o.seed) });
  }

  /**
   * A model of configuration `config` (as in transformers' config.json) with random weights, and the tokenizer of
   * `tokenizerDir`.
   * @throws FlatrankError as `SentenceTransformer.initialize`
   */
  static async initialize(
    config: EncoderConfig,
    tokenizerDir: string,
    o: CrossEncoderInitializeOptions = {},
  ): Promise<CrossEncoder> {
    const { weights, ...asked } = checkInitialize(config, tokenizerDir, o);
    const spec: ModelSpec = {
      kind: 'cross-encoder',
      ...asked,
      weights: { ...weights, labels: checkInteger('numLabels', o.numLabels ?? 1) },
      maxSeqLength: o.maxLength === undefined ? undefined : checkInteger('maxLength', o.maxLength),
      pooling: undefined,
    };
    return new CrossEncoder(await ModelWorker.open<CrossEncoderInfo>(workerEntry, spec, o.signal));
  }

  static async #open(dirOrHubId: string, o: CrossEncoderOptions, weights: WeightsFrom): Promise<CrossEncoder> {
    const asked: ModelSpec = {
      kind: 'cross-encoder',
      ...checkLoad(dirOrHubId, o),
      maxSeqLength: o.maxLength === undefined ? undefined : checkInteger('maxLength', o.maxLength),
      pooling: undefined,
      weights,
    };
    const spec = { ...asked, directory: resolve(await modelDirectory(asked.directory, o, 'cross-encoder')) };
    const worker = await ModelWorker.open<CrossEncoderInfo>(workerEntry, spec, o.signal);
    warnOfFallback(worker.info);
    notify(o.onProgress, { done: 1, total: 1 });
    return new CrossEncoder(worker);
  }

  /** Scores that the model gives for a pair. */
  get numLabels(): number {
    return this.#worker.info.numLabels;
  }

  /** Longest pair in tokens, special tokens included; of longer ones the longer text is truncated first. */
  get maxLength(): number {
    return this.#worker.info.maxLength;
  }

  /**
   * Scores of pairs, in input order.
   * @returns (n) for one label, else (n · numLabels)
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_DISPOSED`, `ERR_TOKENIZER`, `ERR_MODEL`, `ERR_WORKER`; an abort rejects at once
   *   with `signal.reason`
   */
  async predict(pairs: readonly (readonly [string, string])[], o: PredictOptions = {}): Promise<Float32Array> {
    return this.#predict(flatten(pairs), o);
  }

  /**
   * Documents by their score with `query`, best first; equal scores keep their order.
   * @throws FlatrankError as {@link predict}; `ERR_UNSUPPORTED` where the model gives more than one score
   */
  async rank(query: string, documents: readonly string[], o: RankOptions = {}): Promise<RankedDocument[]> {
    checkString('query', query);
    const texts = checkTexts('documents', documents);
    const topK = checkObject('options', o).topK === undefined ? texts.length : checkInteger('topK', o.topK);
    if (this.numLabels !== 1)
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        `Expected a model of one label to rank with but this one has ${this.numLabels}: use predict()`,
      );
    const scores = await this.#predict(
      texts.flatMap((text) => [query, text]),
      o,
    );
    return Array.from(scores, (score, corpusId) => ({ corpusId, score, text: texts[corpusId]! }))
      .sort((a, b) => b.score - a.score)
      .slice(0, topK);
  }

  /**
   * Writes the model to the directory `dir`, as Python's sentence-transformers and transformers.js read it.
   * @throws FlatrankError as `SentenceTransformer.save`
   */
  async save(dir: string, o: SaveOptions = {}): Promise<void> {
    await this.#worker.call('save', checkSave(dir, o), []);
  }

  /** Frees the model after running calls; later ones fail with `ERR_DISPOSED`. Can be called again. */
  dispose(): Promise<void> {
    return this.#worker.dispose().then(() => disown(this.#owned));
  }

  /**
   * @internal
   * @param directory as {@link save} wrote it, with other weights
   * @param owned whether it is to be removed with the model
   */
  async [reload](directory: string, owned: boolean): Promise<void> {
    const old = this.#worker;
    const spec: ModelSpec = {
      kind: 'cross-encoder',
      directory,
      device: old.info.device,
      threads: modelThreads(undefined),
      maxSeqLength: old.info.maxLength,
      pooling: undefined,
      precision: 'float32',
      weights: { type: 'directory' },
    };
    this.#worker = await ModelWorker.open<CrossEncoderInfo>(workerEntry, spec);
    await old.dispose();
    if (this.#owned !== directory) await disown(this.#owned);
    this.#owned = owned ? directory : undefined;
    if (owned) own(directory);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** @param texts the texts of the pairs, one after another */
  async #predict(texts: readonly string[], o: PredictOptions): Promise<Float32Array> {
    const { info } = this.#worker;
    const batchTokens = checkCall(o);
    const activation = checkOneOf('activation', o.activation ?? 'default', ['default', 'none', 'sigmoid', 'softmax']);
    const options: PredictJobOptions = {
      batchTokens,
      prompt: resolvePrompt(info.prompts, o),
      activation: activation === 'default' ? info.activation : activation,
    };
    const { onProgress, signal } = o;
    const call = { onProgress, signal, total: texts.length / 2 };
    const { data, truncated } = await this.#worker.call<BatchResult>('predict', options, texts, call);
    reportTruncated(o, truncated);
    return data;
  }
}

function flatten(pairs: unknown): readonly string[] {
  if (!Array.isArray(pairs)) throw invalidArgument('pairs', 'an array of pairs of strings', pairs);
  const texts: string[] = [];
  // Holes count as undefined here; flatMap and some pass over them.
  for (const [i, pair] of (pairs as unknown[]).entries()) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string' || typeof pair[1] !== 'string')
      throw invalidArgument(`pairs[${i}]`, 'a pair of strings', pair);
    texts.push(pair[0], pair[1]);
  }
  return texts;
}
