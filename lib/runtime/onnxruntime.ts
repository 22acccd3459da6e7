/** onnxruntime, and how sessions are made of it. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type * as Onnxruntime from 'onnxruntime-node';
import type { InferenceSession } from 'onnxruntime-node';
import { FlatrankError } from '../errors.js';
import type { Processor } from './backend.js';
import { undisturbed } from './undisturbed.js';

/** The package's module. */
export type Ort = typeof Onnxruntime;

/** How a session is made. */
export interface SessionOptions {
  /** Default 'cpu'. What CUDA has no kernel for runs on the CPU, node by node. */
  readonly processor?: Processor;
  /** Threads inside an operator. */
  readonly threads: number;
  readonly optimization: 'basic' | 'all';
  /** Whether threads wait actively between the operators of a run: faster where one run comes after another. */
  readonly spinning?: boolean;
  /** Folder of the files that hold external data, for a model given as bytes. */
  readonly externalFolder?: string | undefined;
  /** Files of external data that are in memory, by their names. */
  readonly externalFiles?: ReadonlyMap<string, Uint8Array> | undefined;
}

/** The package, loaded on first use. @throws FlatrankError `ERR_NATIVE` where it cannot be */
export async function importOnnxruntime(): Promise<Ort> {
  try {
    return await undisturbed(() => import('onnxruntime-node'));
  } catch (error) {
    throw notLoaded(error);
  }
}

/** The package's folder. @throws FlatrankError `ERR_NATIVE` where there is none */
export function onnxruntimeFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  } catch (error) {
    throw notLoaded(error);
  }
}

function notLoaded(error: unknown): FlatrankError {
  return new FlatrankError('ERR_NATIVE', `onnxruntime-node could not be loaded: ${textOf(error)}`);
}

/**
 * A session of the model in the file `model`, or of its bytes.
 * @param name what messages call it
 * @throws FlatrankError `ERR_BAD_FILE` where onnxruntime refuses it
 */
export async function createSession(
  ort: Ort,
  model: string | Uint8Array,
  name: string,
  { processor = 'cpu', threads, optimization, spinning = false, externalFolder, externalFiles }: SessionOptions,
): Promise<InferenceSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: processor === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: optimization,
    enableMemPattern: false, // shapes change with every batch; remembered plans only hold memory
    logSeverityLevel: 3,
    ...(externalFiles?.size ? { externalData: [...externalFiles].map(([path, data]) => ({ path, data })) } : {}),
    extra: {
      session: {
        // Threads wait awake for the next operator: all the time of a run where runs follow each other, else for a
        // millisecond, since a short query would pay for waking them dozens of times and idle ones would burn a core.
        intra_op: spinning ? { allow_spinning: '1' } : { allow_spinning: '1', spin_duration_us: '1000' },
        ...(spinning ? { force_spinning_stop: '1' } : {}),
        inter_op: { allow_spinning: '0' },
        ...(externalFolder === undefined ? {} : { model_external_initializers_file_folder_path: externalFolder }),
      },
    },
  };
  try {
    return await undisturbed(() =>
      typeof model === 'string'
        ? ort.InferenceSession.create(model, options)
        : ort.InferenceSession.create(model, options),
    );
  } catch (error) {
    throw new FlatrankError(
      'ERR_BAD_FILE',
      `Expected ${name} to be a model that runs${processor === 'cuda' ? " on 'cuda'" : ''} but onnxruntime says: ${textOf(error)}`,
    );
  }
}

/** The message of whatever was thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
