/** A model opened in its worker: tokenizer, backend and what its directory says, behind named jobs. */
import { FlatrankError } from '../errors.js';
import type { Backend, Precision, Processor } from '../runtime/backend.js';
import { openOn, type Device } from '../runtime/device.js';
import type { Job, Servant } from '../runtime/serve.js';
import { activate, activationOfClass, isTrusted, type Activation } from './activation.js';
import {
  positionLimit,
  readModelDirectory,
  readTokenizerDirectory,
  sentenceModules,
  withoutModules,
  type ModelDirectory,
  type SentenceModules,
} from './directory.js';
import { defaultBatchTokens } from './batching.js';
import { ActionJob, BatchJob, CountJob } from './jobs.js';
import { openEncoder, type SavedWeights, type WeightsFrom } from './open-encoder.js';
import { embed, embeddingSize, type EmbeddingPlan } from './pool.js';
import type { PoolingMode } from '../native.js';
import type { Prompts } from './prompts.js';
import { saveModel } from './save.js';
import { similarityFunctions, type SimilarityFunction } from './similarity.js';
import { TextTokenizer } from './tokenizer.js';

/** What a worker is told to open. */
export interface ModelSpec {
  readonly kind: 'sentence-transformer' | 'cross-encoder';
  readonly directory: string;
  readonly device: Device;
  readonly threads: number;
  readonly precision: Precision;
  readonly maxSeqLength: number | undefined;
  readonly pooling: PoolingMode | undefined;
  readonly weights: WeightsFrom;
}

/** What a call of the job 'encode' carries. */
export interface EncodeJobOptions {
  readonly prompt: string;
  readonly batchTokens: number | undefined;
  readonly truncateDim: number | undefined;
  readonly normalize: boolean;
}

/** What a call of the job 'predict' carries. */
export interface PredictJobOptions {
  readonly prompt: string;
  readonly batchTokens: number | undefined;
  readonly activation: Activation;
}

/** What a call of the job 'save' carries. */
export interface SaveJobOptions {
  readonly path: string;
  readonly quantized: boolean;
}

/** What the owner of any model is told. */
interface ModelInfo {
  /** As it was asked for. */
  readonly device: Device;
  /** Why it runs on the CPU, where a GPU was tried in vain. */
  readonly fallback: string | undefined;
}

/** What the owner of a sentence model is told. */
export interface SentenceTransformerInfo extends ModelInfo {
  readonly dimension: number;
  /** The dimension where nothing is cut off. */
  readonly fullDimension: number;
  readonly maxSeqLength: number;
  readonly similarityFnName: SimilarityFunction;
  readonly prompts: Prompts;
  readonly truncateDim: number | undefined;
}

/** What the owner of a cross-encoder is told. */
export interface CrossEncoderInfo extends ModelInfo {
  readonly numLabels: number;
  readonly maxLength: number;
  readonly activation: Activation;
  readonly prompts: Prompts;
}

interface Opened {
  readonly directory: ModelDirectory;
  readonly tokenizer: TextTokenizer;
  readonly backend: Backend;
  readonly saved: SavedWeights;
  readonly fallback: string | undefined;
  readonly maxLength: number;
  /** Values of a token vector, or classes. */
  readonly cols: number;
  /** Tokens of a batch, unless a call says otherwise. */
  readonly batchTokens: number;
}

/**
 * Opens the model of `spec` and runs it once on an empty text, so that a model that cannot run is refused here.
 * @throws FlatrankError with the code of what is wrong with the directory
 */
export async function openModel(spec: ModelSpec): Promise<Servant> {
  const directory = await readDirectory(spec);
  const { config, tokenizerConfig, lowercase } = directory;
  const tokenizer = await TextTokenizer.load(directory.transformer, { config, tokenizerConfig, lowercase });
  const maxLength = Math.min(spec.maxSeqLength ?? directory.maxSeqLength, positionLimit(config));
  const special = tokenizer.specialTokens(spec.kind === 'cross-encoder' ? 2 : 1);
  if (maxLength <= special)
    throw new FlatrankError(
      'ERR_INVALID_ARGUMENT',
      `Expected the longest input to be more than its ${special} special tokens but received ${maxLength}`,
    );
  const modules = spec.kind === 'cross-encoder' ? undefined : modulesOf(spec, directory);
  const { precision, threads, weights: from } = spec;
  const open = async (processor: Processor): Promise<Pick<Opened, 'backend' | 'saved' | 'cols' | 'batchTokens'>> => {
    const { backend, saved } = await openEncoder(directory, {
      output: modules ? 'hidden' : 'logits',
      // Token vectors stay on the GPU.
      pooling: processor === 'cuda' ? modules?.pooling.modes : undefined,
      processor,
      precision,
      threads,
      padId: tokenizer.padId,
      from,
    });
    try {
      const { ids, typeIds } = tokenizer.single('', maxLength);
      const starts = Int32Array.of(0, ids.length);
      const { cols } = await backend.run({ ids: Int32Array.from(ids), typeIds: Int32Array.from(typeIds), starts });
      const parts = backend.output === 'pooled' ? modules!.pooling.modes.length : 1;
      return { backend, saved, cols: cols / parts, batchTokens: defaultBatchTokens[processor] };
    } catch (error) {
      await backend.dispose();
      throw error;
    }
  };
  const placed = await openOn(spec.device, open, ({ backend }) => backend.dispose());
  try {
    const opened = { directory, tokenizer, maxLength, ...placed.opened, fallback: placed.fallback };
    return modules ? sentenceTransformer(spec, opened, modules) : crossEncoder(spec, opened);
  } catch (error) {
    await placed.opened.backend.dispose();
    throw error;
  }
}

async function readDirectory({ directory, weights }: ModelSpec): Promise<ModelDirectory> {
  if (weights.type === 'random') return readTokenizerDirectory(directory, weights.config);
  const read = await readModelDirectory(directory);
  return weights.type === 'new-head' ? withoutModules(read) : read;
}

/** What follows the transformer: the directory's modules, with the pooling that was asked for. */
function modulesOf(spec: ModelSpec, directory: ModelDirectory): SentenceModules {
  const { steps, pooling: own } =
    spec.pooling && directory.modules?.pooling === undefined
      ? { steps: [], pooling: undefined }
      : sentenceModules(spec.directory, directory);
  const pooling = spec.pooling ? { modes: [spec.pooling], includePrompt: own?.includePrompt ?? true } : own!;
  return { steps, pooling };
}

function sentenceTransformer(
  spec: ModelSpec,
  { directory, tokenizer, backend, saved, fallback, maxLength, cols, batchTokens }: Opened,
  { steps, pooling }: SentenceModules,
): Servant {
  let width = cols * pooling.modes.length;
  for (const step of steps) {
    if (step.type !== 'dense') continue;
    if (step.dense.inFeatures !== width)
      throw new FlatrankError(
        'ERR_BAD_FILE',
        `Expected a Dense module for ${width} values in ${spec.directory} but received one for ${step.dense.inFeatures}`,
      );
    width = step.dense.outFeatures;
  }
  const settings = directory.sentenceTransformers;
  const plan: EmbeddingPlan = {
    hidden: cols,
    pooling,
    steps,
    truncateDim: settings.truncate_dim ?? undefined,
    normalize: false,
    skip: 0,
  };
  const info: SentenceTransformerInfo = {
    device: spec.device,
    fallback,
    dimension: embeddingSize(plan),
    fullDimension: width,
    maxSeqLength: maxLength,
    // A name that is not ours (maxsim) leaves the default, as in sentence-transformers.
    similarityFnName: similarityFunctions.find((name) => name === settings.similarity_fn_name) ?? 'cosine',
    prompts: promptsOf(spec.directory, directory, { query: '', document: '' }),
    truncateDim: plan.truncateDim,
  };

  const encode = (o: EncodeJobOptions, report: (done: number) => void): Job => {
    const skip = pooling.includePrompt || o.prompt === '' ? 0 : tokenizer.promptLength(o.prompt, maxLength);
    const call: EmbeddingPlan = { ...plan, truncateDim: o.truncateDim, normalize: o.normalize, skip };
    return new BatchJob(
      {
        stride: 1,
        batchTokens: o.batchTokens ?? batchTokens,
        tokenize: (text) => tokenizer.single(o.prompt + text, maxLength),
        cols: embeddingSize(call),
        run: (batch) => embed(backend, batch, call),
      },
      report,
    );
  };
  const save = ({ path, quantized }: SaveJobOptions): Promise<void> =>
    saveModel(path, {
      quantized,
      directory,
      weights: saved,
      maxSeqLength: maxLength,
      prompts: info.prompts,
      kind: {
        type: 'sentence-transformer',
        hidden: cols,
        pooling,
        steps,
        similarityFnName: info.similarityFnName,
        truncateDim: plan.truncateDim,
      },
    });
  return {
    info,
    start(job, options, _total, report) {
      if (job === 'count') return new CountJob(tokenizer, report);
      if (job === 'save') return new ActionJob(() => save(options as SaveJobOptions));
      return encode(options as EncodeJobOptions, report);
    },
    close: () => backend.dispose(),
  };
}

function crossEncoder(
  { device, weights }: ModelSpec,
  { directory, tokenizer, backend, saved, fallback, maxLength, cols, batchTokens }: Opened,
): Servant {
  if (directory.modules?.pooling && weights.type === 'directory')
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected ${directory.transformer} to hold a cross-encoder but its modules.json names Pooling`,
    );
  const info: CrossEncoderInfo = {
    device,
    fallback,
    numLabels: cols,
    maxLength,
    activation: defaultActivation(directory, cols),
    prompts: promptsOf(directory.transformer, directory, {}),
  };
  const predict = (o: PredictJobOptions, report: (done: number) => void): Job =>
    new BatchJob(
      {
        stride: 2,
        batchTokens: o.batchTokens ?? batchTokens,
        tokenize: (first, second) => tokenizer.pair(o.prompt + first, second, maxLength),
        cols,
        run: async (batch) => (await backend.run(batch)).data,
        finish: (results) => {
          activate(results, cols, o.activation);
        },
      },
      report,
    );
  const save = ({ path, quantized }: SaveJobOptions): Promise<void> =>
    saveModel(path, {
      quantized,
      directory,
      weights: saved,
      maxSeqLength: maxLength,
      prompts: info.prompts,
      kind: { type: 'cross-encoder', activation: info.activation },
    });
  return {
    info,
    start: (job, options, _total, report) =>
      job === 'save'
        ? new ActionJob(() => save(options as SaveJobOptions))
        : predict(options as PredictJobOptions, report),
    close: () => backend.dispose(),
  };
}

/** The activation that the directory names where it may, else sigmoid for one label and none for more. */
function defaultActivation({ transformer, config, sentenceTransformers }: ModelDirectory, labels: number): Activation {
  const name =
    sentenceTransformers.activation_fn ??
    config.sentence_transformers?.activation_fn ??
    config.sbert_ce_default_activation_function;
  if (name != null && isTrusted(name)) return activationOfClass(transformer, name);
  return labels === 1 ? 'sigmoid' : 'none';
}

function promptsOf(
  root: string,
  { sentenceTransformers: settings }: ModelDirectory,
  defaults: Record<string, string>,
): Prompts {
  const texts = { ...defaults };
  for (const [name, text] of Object.entries(settings.prompts ?? {})) texts[name] = text ?? '';
  const defaultName = settings.default_prompt_name ?? undefined;
  if (defaultName !== undefined && !Object.hasOwn(texts, defaultName))
    throw new FlatrankError(
      'ERR_BAD_FILE',
      `Expected the default prompt '${defaultName}' of ${root} to be one of its prompts (${Object.keys(texts).join(', ')})`,
    );
  return { texts, defaultName };
}
