/** Where a model runs: on the CPU, or on a GPU by onnxruntime's CUDA provider. Decided here and nowhere else. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FlatrankError } from '../errors.js';
import type { Precision, Processor } from './backend.js';
import { onnxruntimeFolder, textOf } from './onnxruntime.js';

/** Where a model is asked to run; 'auto' is 'cuda' where that can be used and 'cpu' elsewhere. */
export type Device = 'cpu' | 'cuda' | 'auto';

/** What is looked at before CUDA is tried. */
export interface Machine {
  /** As in 'linux/x64'. */
  readonly platform: string;
  /** The folder of the package onnxruntime-node. @throws FlatrankError `ERR_NATIVE` where there is none */
  readonly onnxruntime: () => string;
  readonly exists: (path: string) => boolean;
}

const thisMachine: Machine = {
  platform: `${process.platform}/${process.arch}`,
  onnxruntime: onnxruntimeFolder,
  exists: existsSync,
};

/** The one platform that onnxruntime-node has a CUDA provider for. */
const cudaPlatform = 'linux/x64';

/** One of these is there where a container, a machine or a Windows Subsystem for Linux has an NVIDIA GPU. */
const gpuFiles = ['/dev/nvidiactl', '/usr/lib/wsl/lib/libcuda.so.1'];

/**
 * `asked`, or 'cpu' where 'auto' has no CUDA to try. Looks for files alone: the provider's libraries and, as
 * onnxruntime-node downloads these to machines without a GPU too, for one.
 * @throws FlatrankError `ERR_UNSUPPORTED` where 'cuda' cannot be tried
 */
export function resolveDevice(asked: Device, precision: Precision, machine: Machine = thisMachine): Device {
  if (asked === 'cpu') return 'cpu';
  if (asked === 'auto' && !gpuFiles.some(machine.exists)) return 'cpu';
  const obstacle = obstacleToCuda(precision, machine);
  if (obstacle === undefined) return asked;
  if (asked === 'auto') return 'cpu';
  throw new FlatrankError('ERR_UNSUPPORTED', obstacle);
}

function obstacleToCuda(precision: Precision, { platform, onnxruntime, exists }: Machine): string | undefined {
  if (platform !== cudaPlatform)
    return (
      `Expected \`device\` to be 'cpu' or 'auto' on ${platform} but received 'cuda', which onnxruntime-node has on ` +
      `${cudaPlatform} alone`
    );
  if (precision === 'int8')
    return (
      "Expected `precision` to be 'float32' with the `device` 'cuda' but received 'int8', which runs on the CPU alone: " +
      "ask for 'float32', or for the `device` 'cpu'"
    );
  const folder = onnxruntime();
  const missing = ['cuda', 'shared']
    .map((name) => join(folder, 'bin/napi-v6', cudaPlatform, `libonnxruntime_providers_${name}.so`))
    .filter((path) => !exists(path));
  if (missing.length === 0) return undefined;
  const script = join(folder, 'script/install.js');
  return (
    `Expected ${missing.join(' and ')} for the \`device\` 'cuda' but found nothing there: ` +
    `ONNXRUNTIME_NODE_INSTALL=cuda12 node ${script} downloads them`
  );
}

/** What was opened, and where. */
export interface Placed<T> {
  readonly opened: T;
  /** Why it is on the CPU, where 'auto' tried CUDA in vain. */
  readonly fallback: string | undefined;
}

/**
 * Opens a model on `device`. Where that fails on CUDA the CPU is tried, which tells whether the model is to blame.
 * @param close frees what is opened and not wanted
 * @throws FlatrankError `ERR_UNSUPPORTED` with onnxruntime's words where 'cuda' fails and the CPU does not, else as `open` on the CPU
 */
export async function openOn<T>(
  device: Device,
  open: (processor: Processor) => Promise<T>,
  close: (opened: T) => Promise<void>,
): Promise<Placed<T>> {
  if (device === 'cpu') return { opened: await open('cpu'), fallback: undefined };
  let why: string;
  try {
    return { opened: await open('cuda'), fallback: undefined };
  } catch (error) {
    // Of a library that the provider is missing onnxruntime tells the name in its log alone.
    why = `${textOf(error)} (CUDA 12, cuDNN and a driver are needed; onnxruntime names a missing library on stderr)`;
  }
  const opened = await open('cpu');
  if (device === 'auto') return { opened, fallback: why };
  await close(opened);
  throw new FlatrankError('ERR_UNSUPPORTED', `${why}. On the \`device\` 'cpu' it runs`);
}

let warned = false;

/** Warns of a model that 'auto' could not put on the GPU, the first time. */
export function warnOfFallback({ fallback }: { readonly fallback: string | undefined }): void {
  if (fallback === undefined || warned) return;
  warned = true;
  process.emitWarning(
    `A GPU is not used, models run on the CPU. ${fallback}. With the \`device\` 'cpu' none is tried`,
    {
      type: 'FlatrankWarning',
      code: 'WARN_DEVICE',
    },
  );
}
