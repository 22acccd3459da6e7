import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { pipelineConfig, TokenPipeline } from '../../dist/model/tokens/pipeline.js';
import { goldenDirectory } from './golden-directory.js';
import { hasTexts, realTexts, strangeTexts, tokenizerFiles } from './tokenizers.js';

const python = process.env['FLATRANK_PYTHON'];
const hasPython = ((): boolean => {
  try {
    if (python === undefined) return false;
    execFileSync(python, ['-c', 'import tokenizers'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const folder = mkdtempSync(join(tmpdir(), 'flatrank-tokenizers-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
const script = fileURLToPath(new URL('tokenizers_reference.py', import.meta.url));

/** Expects the same ids as Python's of every text with every tokenizer.json. */
function expectSame(files: readonly string[], texts: readonly string[]): void {
  const [job, output] = [join(folder, 'job.json'), join(folder, 'ids.txt')];
  writeFileSync(job, JSON.stringify({ files, texts }));
  execFileSync(python!, [script, job, output], { stdio: 'inherit' });
  const lines = readFileSync(output, 'utf8').split('\n').values();
  for (const file of files) {
    const pipeline = new TokenPipeline(pipelineConfig.parse(JSON.parse(readFileSync(file, 'utf8'))), false);
    const different: string[] = [];
    for (const text of texts) {
      const expected = lines.next().value;
      const actual = pipeline.encode(text).join(' ');
      if (actual !== expected)
        different.push(`${JSON.stringify(text.slice(0, 200))}: ${actual} but Python ${expected}`);
    }
    expect(different.slice(0, 3), `${file}: ${different.length} texts differ`).toEqual([]);
  }
}

describe.skipIf(!hasPython)('ids as of Python’s tokenizers (skipped unless FLATRANK_PYTHON has them)', () => {
  it.each(Object.entries(tokenizerFiles()))('%s', (name, file) => {
    const path = join(folder, `${name}.json`);
    writeFileSync(path, JSON.stringify(file));
    expectSame([path], strangeTexts(Number(process.env['FLATRANK_TEXTS'] ?? 1500)));
  });

  it('of every character', () => {
    // One in so many, unless all are asked for.
    const step = process.env['FLATRANK_CHARACTERS'] === 'all' ? 1 : 23;
    const codes = Array.from({ length: Math.ceil(0x110000 / step) }, (_, i) => i * step);
    const texts = codes.filter((c) => c < 0xd800 || c > 0xdfff).map((c) => `a${String.fromCodePoint(c)}b`);
    const files = Object.entries(tokenizerFiles()).filter(([name]) => /^(wordPiece|bytes|normalizer 4)$/.test(name));
    for (const [name, file] of files) writeFileSync(join(folder, `${name}.json`), JSON.stringify(file));
    expectSame(
      files.map(([name]) => join(folder, `${name}.json`)),
      texts,
    );
  });

  const models = join('..', 'shared', 'models');
  const real = [
    join(goldenDirectory, 'models', 'tiny-roberta'),
    join(goldenDirectory, 'families', 'xlm-roberta'), // where FLATRANK_GOLDEN has the families
    join(models, 'all-MiniLM-L6-v2-onnx-int8'),
    join(models, 'wordpiece-ko-en-16k'),
  ].map((directory) => join(directory, 'tokenizer.json'));
  it.each(real)('of KLUE-STS, KorQuAD and SciFact: %s (skipped without ../shared/data)', (path) => {
    if (hasTexts && existsSync(path)) expectSame([path], realTexts());
  });

  it('of long texts without a space', () => {
    const texts = ['x', 'ab', '漢字', '한국어'].map((unit) => unit.repeat(100_000 / unit.length));
    const files = Object.entries(tokenizerFiles()).filter(([name]) =>
      /^(wordPiece|bytes|pieces|BPE of .*)$/.test(name),
    );
    for (const [name, file] of files) writeFileSync(join(folder, `${name}.json`), JSON.stringify(file));
    expectSame(
      files.map(([name]) => join(folder, `${name}.json`)),
      texts,
    );
  });
});
