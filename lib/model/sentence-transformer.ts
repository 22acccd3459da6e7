import { basename, resolve } from 'node:path';
import { FlatrankError, checkBoolean, checkInteger, checkObject, checkOneOf, invalidArgument } from '../errors.js';
import { checkMatrix, Matrix } from '../matrix.js';
import type { PoolingMode } from '../native.js';
import type { Precision } from '../runtime/backend.js';
import { warnOfFallback } from '../runtime/device.js';
import { ModelWorker } from '../runtime/model-worker.js';
import { modelThreads } from '../runtime/threads.js';
import { notify } from '../runtime/progress.js';
import { chunksOf } from './chunks.js';
import { modelFingerprint } from './fingerprint.js';
import type { BatchResult } from './jobs.js';
import type { EncoderConfig } from './configs.js';
import {
  checkCall,
  checkInitialize,
  checkLoad,
  checkSave,
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
import type { EncodeJobOptions, ModelSpec, SentenceTransformerInfo } from './servant.js';
import { similarityMatrix, type SimilarityFunction } from './similarity.js';

/** How token vectors become one vector. */
export type Pooling = PoolingMode;

const workerEntry = new URL('./worker-main.js', import.meta.url);

const poolings: readonly Pooling[] = ['mean', 'cls', 'max', 'mean_sqrt_len'];

/** What {@link SentenceTransformer.load} takes. */
export interface SentenceTransformerOptions extends LoadOptions {
  /** Longest input in tokens; default the directory's. Never more than the position embeddings hold. */
  readonly maxSeqLength?: number | undefined;
  /** Instead of the directory's pooling. */
  readonly pooling?: Pooling | undefined;
}

/** What {@link SentenceTransformer.initialize} takes. */
export interface SentenceTransformerInitializeOptions extends InitializeOptions {
  /** Longest input in tokens; default the tokenizer's, and never more than the position embeddings hold. */
  readonly maxSeqLength?: number | undefined;
  readonly pooling?: Pooling | undefined;
}

/** Where a model was loaded from, and how: what `SentenceTransformer.load` needs to load it again. */
export interface ModelSource {
  /** The absolute path of its directory, its id on the Hub, or the name of the one that comes with the package. */
  readonly model: string;
  /** The commit, of a model of the Hub. */
  readonly revision?: string;
  readonly precision?: Precision;
  readonly pooling?: Pooling;
  readonly maxSeqLength?: number;
}

/** What {@link SentenceTransformer.encode} takes. */
export interface EncodeOptions extends CallOptions {
  /** Whether embeddings are scaled to unit length, after everything else. Default false. */
  readonly normalize?: boolean | undefined;
  /** Embeddings are cut to their first values (Matryoshka); default the directory's `truncate_dim`. */
  readonly truncateDim?: number | undefined;
}

/** What {@link SentenceTransformer.encodeStream} takes. */
export interface EncodeStreamOptions extends EncodeOptions {
  /** Texts of one matrix, at most. Default 1,024. */
  readonly chunkSize?: number | undefined;
}

/**
 * A bi-encoder: texts in, embeddings out. Follows Python's sentence-transformers 6 (Reimers and Gurevych 2019,
 * https://arxiv.org/abs/1908.10084) in what it reads of a directory and in what comes out. The model lives in a worker
 * thread: the event loop stays free, and a short call waits for one batch of a long one, not for its end.
 */
export class SentenceTransformer {
  #worker: ModelWorker<SentenceTransformerInfo>;
  #source: ModelSource | undefined;
  /** Directory of the files that it was loaded from. */
  #directory: string | undefined;
  /** Directory of the weights, where it is the model's own. */
  #owned: string | undefined;

  private constructor(worker: ModelWorker<SentenceTransformerInfo>, source?: ModelSource, directory?: string) {
    this.#worker = worker;
    this.#source = source;
    this.#directory = directory;
  }

  /**
   * Loads the model that comes with flatrank ('box-ko-en', for Korean and English) where none is named. Else a Hugging Face
   * model directory: a checkpoint (`model.safetensors`) of a known architecture, else
   * `onnx/model.onnx` or `model.onnx`; or a model of the Hub ('owner/name'; a name alone means
   * `sentence-transformers/name` first), of which what is not cached is downloaded.
   * @throws FlatrankError `ERR_NOT_FOUND` where the directory, the model or a file is missing, `ERR_HUB` where the Hub fails, `ERR_IO` where its cache
   *   cannot be written to, `ERR_BAD_FILE` where a file is damaged, `ERR_UNSUPPORTED` for a module, pooling mode, device or precision that is not known or cannot be had here, `ERR_TOKENIZER`, `ERR_INVALID_ARGUMENT`
   */
  static async load(dirOrHubId: string = boxModel, o: SentenceTransformerOptions = {}): Promise<SentenceTransformer> {
    const asked: ModelSpec = {
      kind: 'sentence-transformer',
      ...checkLoad(dirOrHubId, o),
      maxSeqLength: o.maxSeqLength === undefined ? undefined : checkInteger('maxSeqLength', o.maxSeqLength),
      pooling: o.pooling === undefined ? undefined : checkOneOf('pooling', o.pooling, poolings),
      weights: { type: 'directory' },
    };
    const directory = await modelDirectory(asked.directory, o, 'bi-encoder');
    const spec = { ...asked, directory: resolve(directory) };
    const worker = await ModelWorker.open<SentenceTransformerInfo>(workerEntry, spec, o.signal);
    warnOfFallback(worker.info);
    notify(o.onProgress, { done: 1, total: 1 });
    const { pooling, maxSeqLength } = spec;
    const source: ModelSource = {
      model: directory === dirOrHubId ? spec.directory : dirOrHubId,
      // A snapshot of the Hub lies in a folder that is named for its commit.
      ...(directory === dirOrHubId || dirOrHubId === boxModel ? {} : { revision: basename(directory) }),
      precision: o.precision ?? 'float32',
      ...(pooling === undefined ? {} : { pooling }),
      ...(maxSeqLength === undefined ? {} : { maxSeqLength }),
    };
    return new SentenceTransformer(worker, source, spec.directory);
  }

  /**
   * A model of configuration `config` (as in transformers' config.json) with random weights, and the tokenizer of
   * `tokenizerDir` (tokenizer.json, tokenizer_config.json). Pooling is the mean unless given.
   * @throws FlatrankError `ERR_UNSUPPORTED` for an architecture that is not known, `ERR_NOT_FOUND`, `ERR_BAD_FILE`, `ERR_TOKENIZER`,
   *   `ERR_INVALID_ARGUMENT`
   */
  static async initialize(
    config: EncoderConfig,
    tokenizerDir: string,
    o: SentenceTransformerInitializeOptions = {},
  ): Promise<SentenceTransformer> {
    const spec: ModelSpec = {
      kind: 'sentence-transformer',
      ...checkInitialize(config, tokenizerDir, o),
      maxSeqLength: o.maxSeqLength === undefined ? undefined : checkInteger('maxSeqLength', o.maxSeqLength),
      pooling: o.pooling === undefined ? undefined : checkOneOf('pooling', o.pooling, poolings),
    };
    return new SentenceTransformer(await ModelWorker.open<SentenceTransformerInfo>(workerEntry, spec, o.signal));
  }

  /**
   * Names everything that embeddings depend on: a hash over weights, tokenizer, modules, pooling, prompts, longest input and
   * precision. Equal fingerprints give equal embeddings.
   * @throws FlatrankError `ERR_NOT_FOUND` where the model's files are gone, `ERR_UNSUPPORTED` where it never had any
   */
  async fingerprint(): Promise<string> {
    if (!this.#source || !this.#directory)
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        'Expected a model that was loaded from files: save it and load it again',
      );
    const { precision, pooling } = this.#source;
    const { maxSeqLength, prompts, truncateDim } = this.#worker.info;
    return modelFingerprint(this.#directory, { precision, pooling, maxSeqLength, prompts, truncateDim });
  }

  /** Where it was loaded from, and how; undefined where its weights lie in no directory of the caller's. */
  get source(): ModelSource | undefined {
    return this.#source;
  }

  /** Values of an embedding, unless a call asks for another `truncateDim`. */
  get dimension(): number {
    return this.#worker.info.dimension;
  }

  /** Longest input in tokens, special tokens included; longer texts are truncated. */
  get maxSeqLength(): number {
    return this.#worker.info.maxSeqLength;
  }

  /** How the model's embeddings are meant to be compared. */
  get similarityFnName(): SimilarityFunction {
    return this.#worker.info.similarityFnName;
  }

  /** The model's prompts by name. */
  get prompts(): Readonly<Record<string, string>> {
    return { ...this.#worker.info.prompts.texts };
  }

  /**
   * Embeddings of texts: one for a string, a matrix (n, dimension) in input order for an array.
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_DISPOSED`, `ERR_TOKENIZER`, `ERR_MODEL`, `ERR_WORKER`; an abort rejects at once
   *   with `signal.reason`
   */
  encode(text: string, o?: EncodeOptions): Promise<Float32Array>;
  encode(texts: readonly string[], o?: EncodeOptions): Promise<Matrix>;
  encode(texts: string | readonly string[], o?: EncodeOptions): Promise<Float32Array | Matrix>;
  async encode(texts: string | readonly string[], o: EncodeOptions = {}): Promise<Float32Array | Matrix> {
    const single = typeof texts === 'string';
    const list = single ? [texts] : checkTexts('texts', texts);
    const options = this.#checkEncode(o);
    const { data, truncated } = await this.#worker.call<BatchResult>('encode', options, list, o);
    reportTruncated(o, truncated);
    const { truncateDim } = options;
    const full = this.#worker.info.fullDimension;
    return single ? data : new Matrix(data, list.length, Math.min(full, truncateDim ?? full));
  }

  /**
   * Embeddings of a stream of texts, matrix after matrix in input order; only one chunk of texts is held. Progress and
   * truncation are reported with indices in the whole stream.
   */
  async *encodeStream(
    texts: AsyncIterable<string> | Iterable<string>,
    o: EncodeStreamOptions = {},
  ): AsyncGenerator<Matrix, void, undefined> {
    const chunkSize = checkInteger('chunkSize', checkObject('options', o).chunkSize ?? 1024);
    this.#checkEncode(o);
    if (typeof texts === 'string' || !isIterable(texts))
      throw invalidArgument('texts', 'an iterable of strings', texts);
    let before = 0;
    for await (const chunk of chunksOf(texts, chunkSize)) {
      const { onProgress, onTruncated } = o;
      const first = before;
      before += chunk.length;
      yield await this.encode(chunk, {
        ...o,
        onProgress:
          onProgress &&
          (({ done }) => {
            onProgress({ done: first + done, total: first + chunk.length });
          }),
        onTruncated:
          onTruncated &&
          (({ count, indices }) => {
            onTruncated({ count, indices: indices.map((i) => first + i) });
          }),
      });
    }
  }

  /** {@link encode} with the model's prompt 'query', unless `prompt` or `promptName` is given. */
  encodeQuery(text: string, o?: EncodeOptions): Promise<Float32Array>;
  encodeQuery(texts: readonly string[], o?: EncodeOptions): Promise<Matrix>;
  encodeQuery(texts: string | readonly string[], o?: EncodeOptions): Promise<Float32Array | Matrix>;
  async encodeQuery(texts: string | readonly string[], o: EncodeOptions = {}): Promise<Float32Array | Matrix> {
    return this.encode(texts, this.#withPrompt(o, ['query']));
  }

  /**
   * {@link encode} with the first of the model's prompts 'document', 'passage' and 'corpus', unless `prompt` or
   * `promptName` is given.
   */
  encodeDocument(text: string, o?: EncodeOptions): Promise<Float32Array>;
  encodeDocument(texts: readonly string[], o?: EncodeOptions): Promise<Matrix>;
  encodeDocument(texts: string | readonly string[], o?: EncodeOptions): Promise<Float32Array | Matrix>;
  async encodeDocument(texts: string | readonly string[], o: EncodeOptions = {}): Promise<Float32Array | Matrix> {
    return this.encode(texts, this.#withPrompt(o, ['document', 'passage', 'corpus']));
  }

  /** (n) lengths of texts in tokens, special tokens included, before truncation and without a prompt. */
  async countTokens(texts: readonly string[], o: Pick<CallOptions, 'onProgress' | 'signal'> = {}): Promise<Int32Array> {
    const list = checkTexts('texts', texts);
    checkCall(o);
    return this.#worker.call<Int32Array>('count', {}, list, o);
  }

  /**
   * Similarity of every row of `a` with every row of `b` by {@link similarityFnName}: higher is more alike (distances are
   * negated). Runs on the calling thread.
   * @returns (a.rows, b.rows)
   * @throws FlatrankError `ERR_DIMENSION` where the rows differ in length, `ERR_INVALID_ARGUMENT` for anything that is not a matrix
   */
  similarity(a: Matrix, b: Matrix): Matrix {
    checkMatrix('a', a);
    checkMatrix('b', b);
    return similarityMatrix(this.similarityFnName, a, b);
  }

  /**
   * Writes the model to the directory `dir`, as Python's sentence-transformers and transformers.js read it: weights as
   * model.safetensors and onnx/model.onnx, tokenizer, modules and prompts. Files of those names that are there are replaced; of another model its weights, graphs and
   * tokenizer go.
   * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be written, `ERR_DISPOSED`, `ERR_WORKER`
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
      kind: 'sentence-transformer',
      directory,
      device: old.info.device,
      threads: modelThreads(undefined),
      maxSeqLength: old.info.maxSeqLength,
      pooling: undefined,
      precision: 'float32',
      weights: { type: 'directory' },
    };
    this.#worker = await ModelWorker.open<SentenceTransformerInfo>(workerEntry, spec);
    await old.dispose();
    if (this.#owned !== directory) await disown(this.#owned);
    this.#owned = owned ? directory : undefined;
    this.#directory = owned ? undefined : resolve(directory);
    this.#source = this.#directory === undefined ? undefined : { model: this.#directory, precision: 'float32' };
    if (owned) own(directory);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #checkEncode(o: EncodeOptions): EncodeJobOptions {
    const batchTokens = checkCall(o);
    if (o.normalize !== undefined) checkBoolean('normalize', o.normalize);
    const { prompts, truncateDim } = this.#worker.info;
    return {
      batchTokens,
      prompt: resolvePrompt(prompts, o),
      truncateDim: o.truncateDim === undefined ? truncateDim : checkInteger('truncateDim', o.truncateDim),
      normalize: o.normalize ?? false,
    };
  }

  #withPrompt(o: EncodeOptions, candidates: readonly string[]): EncodeOptions {
    checkCall(o);
    if (o.prompt !== undefined || o.promptName !== undefined) return o;
    const { texts } = this.#worker.info.prompts;
    const promptName = candidates.find((name) => Object.hasOwn(texts, name));
    return promptName === undefined ? o : { ...o, promptName };
  }
}

function isIterable(value: unknown): value is AsyncIterable<string> | Iterable<string> {
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}
