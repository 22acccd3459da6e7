/** Losses, and the gradient of every parameter, against torch. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { engineOf } from './engine-of.js';
import * as losses from '../../dist/train/losses.js';
import { Trainee, type TraineeOptions } from '../../dist/train/trainee.js';
import { goldenDirectory as golden } from './golden-directory.js';

const read = (name: string) => JSON.parse(readFileSync(join(golden, name), 'utf8'));

interface Recorded {
  readonly norm: number;
  readonly first?: readonly number[];
}

async function gradientsOf(
  directory: string,
  o: TraineeOptions,
  loss: losses.Loss,
  texts: readonly (readonly string[])[],
  labels: readonly number[],
): Promise<{ loss: number; trained: Trainee['trained'] }> {
  const trainee = await Trainee.open(directory, o);
  const engine = await engineOf(trainee);
  const inputs = texts.map((example) => trainee.tokenize(example));
  const columns = inputs[0]!.length;
  const tokens = Array.from({ length: columns }, (_, c) => inputs.map((row) => row[c]!)).flat();
  const value = await engine.run(loss, { texts: tokens, columns, labels, step: 0 }, false);
  await engine.dispose();
  return { loss: value, trained: trainee.trained };
}

/** Gradients within 1e-4 · max(their norm, 1e-4 · the norm of all). */
function check(trained: Trainee['trained'], recorded: Record<string, Recorded>): void {
  const names = Object.keys(recorded);
  expect(names.length).toBeGreaterThan(0);
  const all = Math.hypot(...names.map((name) => recorded[name]!.norm));
  for (const name of names) {
    const parameter = trained.get(name) ?? trained.get(name.slice(name.indexOf('.') + 1));
    expect(parameter, name).toBeDefined();
    const { gradient } = parameter!;
    const { norm, first = [] } = recorded[name]!;
    const tolerance = 1e-4 * Math.max(norm, 1e-4 * all);
    expect(Math.abs(Math.hypot(...gradient) - norm), name).toBeLessThan(tolerance);
    first.forEach((value, i) => {
      expect(Math.abs(gradient[i]! - value), `${name}[${i}]`).toBeLessThan(tolerance);
    });
  }
}

const { batch, max_seq_length: maxLength, mnr_scale: scale, models } = read('losses.json');
const cases = Object.entries<Record<string, any>>(models).flatMap(([model, byLoss]) =>
  Object.entries<any>(byLoss).map(([loss, expected]) => [model, loss, expected] as const),
);

const makers: Record<string, () => losses.Loss> = {
  CosineSimilarityLoss: () => new losses.CosineSimilarityLoss(),
  MultipleNegativesRankingLoss: () => new losses.MultipleNegativesRankingLoss({ scale }),
  BinaryCrossEntropyLoss: () => new losses.BinaryCrossEntropyLoss(),
  CrossEntropyLoss: () => new losses.CrossEntropyLoss(),
};

describe('losses.json', () => {
  it.each(cases)('%s %s', async (model, name, expected) => {
    const kind = model.includes('cross') ? 'cross-encoder' : 'sentence-transformer';
    const texts = batch.map(([a, b]: string[]) => [a, b]);
    const labels: number[] =
      expected.labels ?? (name === 'CosineSimilarityLoss' ? batch.map((row: any) => row[2] / 5) : []);
    const directory = join(golden, 'models', model);
    const { loss, trained } = await gradientsOf(directory, { kind, maxLength }, makers[name]!(), texts, labels);
    expect(Math.abs(loss - expected.loss)).toBeLessThan(1e-5);
    check(trained, expected.grads);
  });
});

const families = read('families.json');
const familyCases = Object.entries<any>(families.encoders).flatMap(([name, { mnr }]) =>
  (['mean', 'cls', 'max'] as const).map((pooling) => [name, pooling, mnr] as const),
);

describe('families.json', () => {
  it.each(familyCases)('%s, %s pooling', async (name, pooling, mnr) => {
    const texts = mnr.queries.map((query: string, i: number) => [query, mnr.passages[i]]);
    const o = { kind: 'sentence-transformer', maxLength: families.max_length, pooling } as const;
    const directory = join(golden, 'families', name);
    const made = new losses.MultipleNegativesRankingLoss({ scale: mnr.scale });
    const { loss, trained } = await gradientsOf(directory, o, made, texts, []);
    expect(Math.abs(loss - mnr[pooling].loss)).toBeLessThan(1e-5);
    const norms = Object.entries<number>(mnr[pooling].grad_norms).map(([key, norm]) => [key, { norm }]);
    check(trained, Object.fromEntries(norms));
  });

  it('the loss in parts has the same value and gradients', async () => {
    const { mnr } = families.encoders['klue-roberta'];
    const texts = mnr.queries.map((query: string, i: number) => [query, mnr.passages[i]]);
    const o = { kind: 'sentence-transformer', maxLength: families.max_length, pooling: 'mean' } as const;
    const directory = join(golden, 'families', 'klue-roberta');
    const made = new losses.CachedMultipleNegativesRankingLoss({ scale: mnr.scale, miniBatchSize: 5 });
    const { loss, trained } = await gradientsOf(directory, o, made, texts, []);
    expect(Math.abs(loss - mnr.mean.loss)).toBeLessThan(1e-5);
    const norms = Object.entries<number>(mnr.mean.grad_norms).map(([key, norm]) => [key, { norm }]);
    check(trained, Object.fromEntries(norms));
  });
});
