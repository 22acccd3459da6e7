import { resolve } from 'node:path';
/** What the calls of both kinds of model take, and its checks. */
import {
  FlatrankError,
  checkBoolean,
  checkInteger,
  checkObject,
  checkOneOf,
  checkSignal,
  checkString,
  invalidArgument,
} from '../errors.js';
import type { Precision } from '../runtime/backend.js';
import { resolveDevice, type Device } from '../runtime/device.js';
import { checkCallback, notify, type OnProgress } from '../runtime/progress.js';
import { modelThreads } from '../runtime/threads.js';
import { z } from 'zod';
import { encoderConfig } from './configs.js';
import type { WeightsFrom } from './open-encoder.js';
import type { PromptOptions } from './prompts.js';
import type { SaveJobOptions } from './servant.js';

/** What loading any model takes. */
export interface LoadOptions {
  /**
   * Default 'cpu'. 'auto': an NVIDIA GPU where one and the CUDA libraries of onnxruntime-node are found, else the CPU. Where the
   * GPU then fails 'auto' takes the CPU, with a warning the first time, and 'cuda' an error. 'int8' runs on the CPU alone.
   */
  readonly device?: Device | undefined;
  /** Default 'float32'. 'int8' quantizes a checkpoint's linear layers as it loads: faster, a little less exact. */
  readonly precision?: Precision | undefined;
  /** Threads inside an operator, at most; default the process's budget (FLATRANK_THREADS, else the processors). */
  readonly threads?: number | undefined;
  /** Branch, tag or commit of a model of the Hub; default 'main'. */
  readonly revision?: string | undefined;
  /** Called with the bytes of its files while a model of the Hub is fetched, and once (1 of 1) when it is loaded. */
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which inputs of a call were cut to the model's longest input. */
export interface Truncated {
  readonly count: number;
  /** (count) indices into the call's inputs, ascending. */
  readonly indices: Int32Array;
}

/** What any call over texts takes. */
export interface CallOptions extends PromptOptions {
  /** Most tokens of a batch, padding included; default 512, on a GPU 8,192. A longer text is a batch of its own. */
  readonly batchTokens?: number | undefined;
  /** Called after every batch with the inputs done. */
  readonly onProgress?: OnProgress | undefined;
  /** Called once, before the call resolves, where inputs were truncated. */
  readonly onTruncated?: ((truncated: Truncated) => void) | undefined;
  /** Aborting rejects the call at once with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Checks what loading takes.
 * @returns the directory, the threads for the model, its precision, and its device: 'auto' where a GPU is worth a try
 */
export function checkLoad(
  dirOrHubId: unknown,
  o: LoadOptions,
): { directory: string; device: Device; threads: number; precision: Precision } {
  const directory = checkString('dirOrHubId', dirOrHubId);
  if (directory === '') throw invalidArgument('dirOrHubId', 'the path of a model directory', directory);
  checkObject('options', o);
  checkSignal(o.signal);
  checkCallback('onProgress', o.onProgress);
  const device = checkOneOf('device', o.device ?? 'cpu', ['cpu', 'cuda', 'auto']);
  const precision = checkOneOf('precision', o.precision ?? 'float32', ['float32', 'int8']);
  return { directory, device: resolveDevice(device, precision), threads: modelThreads(o.threads), precision };
}

/** What making a model with random weights takes. */
export interface InitializeOptions extends Pick<LoadOptions, 'precision' | 'threads' | 'signal'> {
  /** The same seed gives the same weights on every machine. Default 42. */
  readonly seed?: number | undefined;
}

/**
 * Checks what making a model from a configuration takes.
 * @returns the directory, the threads, and where its weights come from
 */
export function checkInitialize(
  config: unknown,
  tokenizerDir: unknown,
  o: InitializeOptions,
): {
  directory: string;
  threads: number;
  precision: Precision;
  device: 'cpu';
  weights: WeightsFrom & { type: 'random' };
} {
  const directory = checkString('tokenizerDir', tokenizerDir);
  const { threads, precision } = checkLoad(directory, o);
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw invalidArgument('config', 'the object of a config.json', config);
  let plain: unknown;
  try {
    plain = JSON.parse(JSON.stringify(config));
  } catch {
    throw invalidArgument('config', 'an object that JSON can hold', config);
  }
  const parsed = encoderConfig.safeParse(plain);
  if (!parsed.success)
    throw new FlatrankError(
      'ERR_INVALID_ARGUMENT',
      `Expected \`config\` to describe a model: ${z.prettifyError(parsed.error)}`,
    );
  return {
    directory: resolve(directory),
    device: 'cpu',
    threads,
    precision,
    weights: { type: 'random', config: parsed.data, seed: checkSeed(o.seed) },
  };
}

/** What saving a model takes. */
export interface SaveOptions {
  /** Whether `onnx/model_quantized.onnx`, with 8-bit weights, is written too. Default false. */
  readonly quantized?: boolean | undefined;
}

/** Checks what saving takes. */
export function checkSave(dir: unknown, o: SaveOptions): SaveJobOptions {
  const quantized = checkBoolean('quantized', checkObject('options', o).quantized ?? false);
  return { path: checkPath('dir', dir), quantized };
}

/** Checks that `value` is the path of something and returns it. */
function checkPath(name: string, value: unknown): string {
  const path = checkString(name, value);
  if (path === '') throw invalidArgument(name, 'a path', path);
  return path;
}

/** Checks a seed: an integer, 42 unless given. */
export function checkSeed(seed: number | undefined): number {
  return checkInteger('seed', seed ?? 42, 0);
}

/** Checks what a call takes, the prompt aside, and returns the batch size that it asks for. */
export function checkCall(o: CallOptions): number | undefined {
  checkObject('options', o);
  checkSignal(o.signal);
  checkCallback('onProgress', o.onProgress);
  checkCallback('onTruncated', o.onTruncated);
  return o.batchTokens === undefined ? undefined : checkInteger('batchTokens', o.batchTokens);
}

/** Checks that `texts` is an array of strings and copies it: the caller may change it while it is sent. */
export function checkTexts(name: string, texts: unknown): readonly string[] {
  if (!Array.isArray(texts)) throw invalidArgument(name, 'an array of strings', texts);
  for (let i = 0; i < texts.length; i++)
    if (typeof texts[i] !== 'string') throw invalidArgument(`${name}[${i}]`, 'a string', texts[i]);
  return texts.slice() as string[];
}

/** Tells a call's caller which inputs were cut, if any were. */
export function reportTruncated(o: CallOptions, indices: Int32Array): void {
  if (indices.length > 0) notify(o.onTruncated, { count: indices.length, indices });
}
