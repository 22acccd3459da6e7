import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyWithOnly, modelKinds } from '../unit/model-directories.js';

const script = join(import.meta.dirname, 'damaged-models.mjs');
// FLATRANK_FUZZ asks for more.
const rounds = Number(process.env['FLATRANK_FUZZ'] ?? 60);

const configurations = [
  'config.json',
  'tokenizer_config.json',
  'modules.json',
  'sentence_bert_config.json',
  '1_Pooling/config.json',
];
const cases = [
  ...configurations.map((name) => ['checkpoint', name] as const),
  ['checkpoint', 'model.safetensors'] as const,
  ['onnx', 'onnx/model.onnx'] as const,
];

describe.each(cases)('a model as %s with a damaged %s', (kind, name) => {
  it(`is read or refused in ${rounds} ways, and the process lives on`, async () => {
    expect(modelKinds).toContain(kind);
    const directory = await copyWithOnly('tiny-bert', kind);
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [script, directory, name, String(rounds), '7'],
      { encoding: 'utf8' },
    );
    expect({ status, signal }, stderr).toEqual({ status: 0, signal: null });
    const { opened, refused, peakBytes } = JSON.parse(stdout) as Record<'opened' | 'refused' | 'peakBytes', number>;
    expect(opened + refused).toBe(rounds);
    expect(refused).toBeGreaterThan(0);
    // No size that a file claims is allocated: node, the addon and onnxruntime take about 150 MB.
    expect(peakBytes).toBeLessThan(600e6);
  });
});
