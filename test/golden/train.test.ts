/** 24 steps of training against torch's: losses, learning rates, gradient norms, final weights. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { engineOf } from './engine-of.js';
import * as losses from '../../dist/train/losses.js';
import { Optimizer } from '../../dist/train/optimizer.js';
import { scheduleFactor } from '../../dist/train/schedule.js';
import { Trainee } from '../../dist/train/trainee.js';
import { goldenDirectory as golden } from './golden-directory.js';

const recorded = JSON.parse(readFileSync(join(golden, 'train.json'), 'utf8'));
const makers: Record<string, () => losses.Loss> = {
  CosineSimilarityLoss: () => new losses.CosineSimilarityLoss(),
  MultipleNegativesRankingLoss: () => new losses.MultipleNegativesRankingLoss(),
  BinaryCrossEntropyLoss: () => new losses.BinaryCrossEntropyLoss(),
};
const cases = Object.entries<Record<string, any>>(recorded.models).flatMap(([model, byLoss]) =>
  Object.entries<any>(byLoss).map(([loss, expected]) => [model, loss, expected] as const),
);

const worst = (actual: ArrayLike<number>, expected: readonly number[]): number =>
  Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value)));

describe('train.json', () => {
  it.each(cases)('%s %s', async (model, name, expected) => {
    const kind = model.includes('cross') ? 'cross-encoder' : 'sentence-transformer';
    const trainee = await Trainee.open(join(golden, 'models', model), { kind, maxLength: recorded.max_seq_length });
    const engine = await engineOf(trainee);
    const [beta1, beta2] = recorded.betas;
    const { eps: epsilon, weight_decay: weightDecay, max_grad_norm: maxGradNorm, batch_size: size, steps } = recorded;
    const optimizer = new Optimizer([...trainee.trained.values()], {
      ...{ learningRate: recorded.lr, learningRates: {}, beta1, beta2, epsilon, weightDecay, maxGradNorm },
    });
    const seen = { losses: [] as number[], norms: [] as number[], rates: [] as number[] };
    for (let step = 0; step < steps; step++) {
      const rows = recorded.rows.slice(step * size, (step + 1) * size);
      const inputs = rows.map(([a, b]: string[]) => trainee.tokenize([a!, b!]));
      const columns = inputs[0].length;
      const texts = Array.from({ length: columns }, (_, c) => inputs.map((row: any) => row[c])).flat();
      const labels = name.startsWith('Multiple') ? [] : rows.map((row: any) => row[2] / 5);
      const factor = scheduleFactor('linear', step, recorded.warmup_steps, steps);
      seen.losses.push(await engine.run(makers[name]!(), { texts, columns, labels, step }, false));
      seen.norms.push(await optimizer.update(factor, 1));
      seen.rates.push(recorded.lr * factor);
    }
    await engine.dispose();
    expect(worst(seen.losses, expected.losses)).toBeLessThan(1e-4);
    expect(worst(seen.norms, expected.grad_norms)).toBeLessThan(1e-4);
    expect(worst(seen.rates, expected.learning_rates)).toBeLessThan(1e-10);
    for (const [key, { norm, first }] of Object.entries<any>(expected.final)) {
      const data = (trainee.trained.get(key) ?? trainee.trained.get(key.slice(key.indexOf('.') + 1)))!.data;
      expect(Math.abs(Math.hypot(...data) - norm), key).toBeLessThan(1e-3 * norm);
      expect(worst(data, first), key).toBeLessThan(1e-3 * norm);
    }
  });
});
