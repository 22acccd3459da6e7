import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openOn, resolveDevice, warnOfFallback, type Machine } from '../../lib/runtime/device.js';
import { createSession, onnxruntimeFolder, type Ort } from '../../lib/runtime/onnxruntime.js';
import { goldenDirectory } from '../golden/golden-directory.js';
import { expectCode } from './model-directories.js';

const libraries = ['cuda', 'shared'].map((name) => `/ort/bin/napi-v6/linux/x64/libonnxruntime_providers_${name}.so`);
const gpu = '/dev/nvidiactl';

/** A machine with these files, and those that were looked for. */
function machine(files: readonly string[], platform = 'linux/x64'): Machine & { asked: string[] } {
  const asked: string[] = [];
  const exists = (path: string): boolean => {
    asked.push(path);
    return files.includes(path);
  };
  return { platform, onnxruntime: () => '/ort', exists, asked };
}

const unsupported = (message: RegExp): unknown =>
  expect.objectContaining({ code: 'ERR_UNSUPPORTED', message: expect.stringMatching(message) });

describe('resolveDevice', () => {
  it('tries CUDA where its libraries and a GPU are', () => {
    const all = machine([...libraries, gpu]);
    expect(resolveDevice('auto', 'float32', all)).toBe('auto');
    expect(resolveDevice('cuda', 'float32', all)).toBe('cuda');
    expect(resolveDevice('auto', 'int8', all)).toBe('cpu');
    expect(resolveDevice('auto', 'float32', machine([gpu, libraries[0]!]))).toBe('cpu');
    expect(resolveDevice('auto', 'float32', machine([...libraries, gpu], 'win32/x64'))).toBe('cpu');
  });

  it('looks at nothing for the CPU, and at a GPU first for ‘auto’', () => {
    const none = machine(libraries);
    expect(resolveDevice('cpu', 'float32', none)).toBe('cpu');
    expect(none.asked).toEqual([]);
    expect(resolveDevice('auto', 'float32', none)).toBe('cpu');
    expect(none.asked).not.toContain(libraries[0]);
  });

  it('says what ‘cuda’ lacks and what to do', () => {
    const refuse = (files: readonly string[], precision: 'float32' | 'int8', platform?: string) => () =>
      resolveDevice('cuda', precision, machine(files, platform));
    const script = /ONNXRUNTIME_NODE_INSTALL=cuda12 node \/ort\/script\/install\.js/;
    expect(refuse([gpu, libraries[1]!], 'float32')).toThrow(
      unsupported(new RegExp(`^Expected ${libraries[0]!} for.*'cuda'.*${script.source}`)),
    );
    expect(refuse([], 'float32')).toThrow(unsupported(new RegExp(libraries.join(' and '))));
    expect(refuse(libraries, 'float32', 'darwin/arm64')).toThrow(unsupported(/on darwin\/arm64.*'cuda'.*linux\/x64/));
    expect(refuse(libraries, 'int8')).toThrow(unsupported(/`precision`.*`device` 'cuda'.*'int8'/));
  });
});

describe('openOn', () => {
  const failing = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';
  const closed: string[] = [];
  const close = (opened: string): Promise<void> => {
    closed.push(opened);
    return Promise.resolve();
  };
  const onCpuAlone = (processor: string): Promise<string> =>
    processor === 'cpu' ? Promise.resolve(processor) : Promise.reject(new Error(failing));

  it('opens where it is asked to', async () => {
    const open = (processor: string): Promise<string> => Promise.resolve(processor);
    expect(await openOn('cpu', open, close)).toEqual({ opened: 'cpu', fallback: undefined });
    expect(await openOn('cuda', open, close)).toEqual({ opened: 'cuda', fallback: undefined });
    expect(await openOn('auto', open, close)).toEqual({ opened: 'cuda', fallback: undefined });
    expect(closed).toEqual([]);
  });

  it('falls back to the CPU for ‘auto’ and passes onnxruntime’s words on', async () => {
    const { opened, fallback } = await openOn('auto', onCpuAlone, close);
    expect(opened).toBe('cpu');
    expect(fallback).toContain(failing);
    await expectCode(openOn('cuda', onCpuAlone, close), 'ERR_UNSUPPORTED', /Failed to load shared library.*stderr/);
    expect(closed).toEqual(['cpu']);
  });

  it('blames the model where the CPU cannot run it either', async () => {
    const damaged = (processor: string): Promise<string> => Promise.reject(new Error(`damaged on ${processor}`));
    for (const device of ['cuda', 'auto'] as const)
      await expect(openOn(device, damaged, close)).rejects.toThrow(/^damaged on cpu$/);
  });
});

describe('createSession', () => {
  it.each([
    ['cpu', ['cpu'], /a model that runs but onnxruntime says: no driver$/],
    ['cuda', ['cuda', 'cpu'], /a model that runs on 'cuda' but onnxruntime says: no driver$/],
  ] as const)('names the providers of %s', async (processor, executionProviders, message) => {
    const create = vi.fn(() => Promise.reject(new Error('no driver')));
    const ort = { InferenceSession: { create } } as unknown as Ort;
    const session = createSession(ort, 'a.onnx', 'a.onnx', { processor, threads: 1, optimization: 'basic' });
    await expectCode(session, 'ERR_BAD_FILE', message);
    expect(create).toHaveBeenCalledWith('a.onnx', expect.objectContaining({ executionProviders }));
  });
});

describe('a model', () => {
  const bert = join(goldenDirectory, 'models/tiny-bert');
  const cross = join(goldenDirectory, 'models/tiny-bert-cross');
  const emitWarning = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  afterEach(() => emitWarning.mockClear());

  const provider = join(onnxruntimeFolder(), 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so');
  const onLinux = process.platform === 'linux' && process.arch === 'x64';

  it.skipIf(existsSync(provider))('is refused on ‘cuda’ where that cannot be', async () => {
    const message = onLinux ? /libonnxruntime_providers_cuda\.so.*ONNXRUNTIME_NODE_INSTALL=cuda12/ : /linux\/x64 alone/;
    await expectCode(SentenceTransformer.load(bert, { device: 'cuda' }), 'ERR_UNSUPPORTED', message);
    await expectCode(CrossEncoder.load(cross, { device: 'cuda' }), 'ERR_UNSUPPORTED', message);
  });

  it.skipIf(!onLinux)('is refused in ‘int8’ on ‘cuda’', async () => {
    const options = { device: 'cuda', precision: 'int8' } as const;
    await expectCode(SentenceTransformer.load(bert, options), 'ERR_UNSUPPORTED', /'cuda'.*'int8'/);
  });

  it.skipIf(existsSync(provider))('loads on the CPU by ‘auto’, without a warning', async () => {
    await using model = await SentenceTransformer.load(bert, { device: 'auto' });
    expect(await model.encode('a text')).toHaveLength(32);
    expect(emitWarning).not.toHaveBeenCalled();
  });

  it('warns once of a GPU that is not used', () => {
    warnOfFallback({ fallback: undefined });
    expect(emitWarning).not.toHaveBeenCalled();
    for (const fallback of ['no driver', 'no memory']) warnOfFallback({ fallback });
    expect(emitWarning).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('no driver'), {
      type: 'FlatrankWarning',
      code: 'WARN_DEVICE',
    });
  });
});
