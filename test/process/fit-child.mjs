// Trains a tiny model and prints the steps and a digest of the weights: node fit-child.mjs MODEL FOLDER
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CosineSimilarityLoss, fit, MultipleNegativesRankingLoss, SentenceTransformer } from 'flatrank';

const [model, folder] = process.argv.slice(2);
const { rows } = JSON.parse(readFileSync(join(model, '../rows.json'), 'utf8'));
const examples = rows.map(([a, b, score]) => ({ texts: [a, b], label: score / 5 }));
const encoder = await SentenceTransformer.load(model);
const report = await fit(encoder, {
  objectives: [
    { examples, loss: new CosineSimilarityLoss() },
    { examples: examples.slice(0, 96), loss: new MultipleNegativesRankingLoss() },
  ],
  epochs: 2,
  batchSize: 12,
  warmupSteps: 4,
  learningRate: 1e-3,
  gradientAccumulationSteps: 2,
  evaluator: { evaluate: async (m) => (await m.encode(rows[0][0]))[0] },
  evaluationSteps: 5,
  checkpointPath: join(folder, 'checkpoints'),
  checkpointSaveSteps: 3,
  resume: true,
  logPath: join(folder, 'log.jsonl'),
  onProgress: ({ step }) => process.stdout.write(`step ${step}\n`),
});
await encoder.save(join(folder, 'final'));
const weights = readFileSync(join(folder, 'final/model.safetensors'));
const evaluations = report.evaluations.map(({ step, score }) => [step, score]);
console.log(
  `digest ${createHash('sha256').update(weights).digest('hex')} ${JSON.stringify(evaluations)} ${report.bestStep}`,
);
await encoder.dispose();
