import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { copyWithOnly, expectCode } from '../unit/model-directories.js';
import { goldenDirectory as golden } from './golden-directory.js';

const recorded = JSON.parse(readFileSync(join(golden, 'families.json'), 'utf8'));
const texts: string[] = recorded.texts;
const pairs: [string, string][] = recorded.pairs;
const maxLength: number = recorded.max_length;

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

describe.each(Object.keys(recorded.encoders))('%s in int8', (name) => {
  it('gives almost the recorded embeddings, alone the same as in a batch', async () => {
    await using model = await SentenceTransformer.load(join(golden, 'families', name), {
      precision: 'int8',
      maxSeqLength: maxLength,
    });
    const together = await model.encode(texts);
    const { mean, dim } = recorded.encoders[name];
    for (const [i, text] of texts.entries()) {
      expect(cosine(together.row(i), mean.slice(i * dim, (i + 1) * dim)), text).toBeGreaterThan(0.998);
      if (i % 4 === 0) expect(await model.encode(text)).toEqual(together.row(i).slice());
    }
  });
});

describe.each(Object.keys(recorded.cross_encoders))('%s in int8', (name) => {
  it('gives almost the recorded scores, a pair alone the same as in a batch', async () => {
    const directory = join(golden, 'families', name);
    await using model = await CrossEncoder.load(directory, { precision: 'int8', maxLength });
    const scores = await model.predict(pairs, { activation: 'none' });
    const logits: number[] = recorded.cross_encoders[name].logits;
    const spread = Math.max(...logits) - Math.min(...logits);
    for (const [i, logit] of logits.entries()) expect(Math.abs(scores[i]! - logit) / spread).toBeLessThan(0.1);
    const labels = model.numLabels;
    for (let i = 0; i < pairs.length; i += 5)
      expect(await model.predict([pairs[i]!], { activation: 'none' })).toEqual(
        scores.slice(i * labels, (i + 1) * labels),
      );
  });
});

it('an ONNX file is not quantized', async () => {
  const directory = await copyWithOnly('tiny-bert', 'onnx');
  await expectCode(SentenceTransformer.load(directory, { precision: 'int8' }), 'ERR_UNSUPPORTED', /checkpoint.*int8/);
});
