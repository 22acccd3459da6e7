// How fast is a training step? Against torch with sdpa, as sentence-transformers runs it: the same random batches in the
// same run, optimizer and clipping included on both sides.
//   node bench/train.mjs [small|large|optimizer|level] [ROUNDS] [LOSS] [ROUNDS OF TORCH]
// Reads ../shared/data and, for the small model, FLATRANK_MINILM.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CrossEncoder, loadKorQuad, SentenceTransformer } from '../dist/index.js';
import { native } from '../dist/native.js';
import { Generator } from '../dist/random/index.js';
import { threadBudget } from '../dist/runtime/threads.js';
import { Engine } from '../dist/train/engine.js';
import { BinaryCrossEntropyLoss, CosineSimilarityLoss, MultipleNegativesRankingLoss } from '../dist/train/losses.js';
import { Optimizer } from '../dist/train/optimizer.js';
import { Trainee } from '../dist/train/trainee.js';
import { here, machine, median, Peer, table } from './harness.mjs';

const shared = path.resolve(process.env.FLATRANK_SHARED ?? path.join(here, '../../shared'));
const size = 16;
const optimizerOptions = {
  ...{ learningRate: 2e-5, learningRates: {}, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  ...{ weightDecay: 0.01, maxGradNorm: 1 },
};

/** Batches of pairs drawn at random, no text twice. */
function batchesOf(pairs, count) {
  const random = new Generator(3);
  return Array.from({ length: count }, () => {
    const batch = new Map();
    while (batch.size < size) {
      const [query, text] = pairs[random.integers(pairs.length)];
      batch.set(text, [query, text]);
    }
    return [...batch.values()];
  });
}

const labelsOf = (loss) => {
  if (loss.type === 'MultipleNegativesRankingLoss') return [];
  return Array.from({ length: size }, (_, i) => (loss.type === 'BinaryCrossEntropyLoss' ? i % 2 : i / size));
};

/** A model in training: one call, one step from texts on. */
async function contestant(directory, kind, maxLength, dropout, loss) {
  const trainee = await Trainee.open(directory, { kind, maxLength });
  const { encoder, head, weights, trained } = trainee;
  const engine = await Engine.create({ encoder, head, weights, trained, threads: threadBudget(), dropout, seed: 1 });
  const optimizer = new Optimizer([...trained.values()], optimizerOptions);
  const labels = labelsOf(loss);
  let step = 0;
  const columnsOf = (batch) => {
    const rows = batch.map((texts) => trainee.tokenize(texts));
    return rows[0].map((_, c) => rows.map((row) => row[c]));
  };
  return {
    columnsOf,
    labels,
    dispose: () => engine.dispose(),
    async run(batch) {
      const started = performance.now();
      const columns = columnsOf(batch);
      const value = await engine.run(
        loss,
        { texts: columns.flat(), columns: columns.length, labels, step: step++ },
        false,
      );
      await optimizer.update(1, 1);
      return { ms: performance.now() - started, loss: value };
    },
  };
}

const megabytes = (value) => `${Math.round(value)} MB`;
const ownPeak = () => process.resourceUsage().maxRSS / 1024;

/** One row of the table: medians, their ratio, the median of the rounds' ratios, peaks. */
async function race(name, directory, kind, maxLength, dropout, loss, batches, peerRounds = Infinity) {
  const ours = await contestant(directory, kind, maxLength, dropout, loss);
  const torch = Peer.python('train_peer', ['torch', 'transformers']);
  const cross = kind === 'cross-encoder';
  await torch?.ask({ do: 'load', directory, threads: threadBudget(), cross, dropout });
  const rounds = [];
  let tokens = 0;
  for (const [i, batch] of batches.entries()) {
    const columns = ours
      .columnsOf(batch)
      .map((list) => list.map(({ ids, typeIds }) => ({ ids: Array.from(ids), typeIds: Array.from(typeIds) })));
    const own = await ours.run(batch);
    const asked = i < peerRounds + 2;
    const peer = asked ? await torch?.ask({ do: 'step', loss: loss.type, columns, labels: ours.labels }) : undefined;
    if (i < 2) continue; // page faults
    tokens += columns.flat().reduce((sum, { ids }) => sum + ids.length, 0);
    rounds.push({
      own: own.ms,
      peer: peer?.ms,
      peak: peer?.peak,
      resident: process.memoryUsage.rss() / 2 ** 20,
      apart: Math.abs(own.loss - (peer?.loss ?? own.loss)),
    });
  }
  torch?.stop();
  await ours.dispose();
  const both = rounds.filter((r) => r.peer !== undefined);
  const [own, peer] = [median(rounds.map((r) => r.own)), median(both.map((r) => r.peer))];
  const paired = median(both.map((r) => r.peer / r.own));
  const cells = torch
    ? [
        peer.toFixed(0),
        `${(peer / own).toFixed(2)}x (${paired.toFixed(2)}x)`,
        megabytes(ownPeak()),
        megabytes(both.at(-1).peak),
      ]
    : ['–', '–', megabytes(ownPeak()), '–'];
  console.log(name, rounds.map((r) => `${r.own.toFixed(0)}/${r.peer?.toFixed(0) ?? '–'}`).join(' '));
  console.log('resident, MB', rounds.map((r) => r.resident.toFixed(0)).join(' '));
  const apart = dropout ? 'dropout differs' : Math.max(...rounds.map((r) => r.apart)).toExponential(0);
  return [name, Math.round(tokens / rounds.length), own.toFixed(0), ...cells, apart];
}

const header = [
  'step',
  'real tokens',
  'flatrank, ms',
  'torch sdpa, ms',
  'torch / flatrank',
  'our peak',
  "torch's peak",
  'losses apart',
];

function xquad() {
  const { data } = JSON.parse(readFileSync(path.join(shared, 'data/xquad/xquad.en.json'), 'utf8'));
  return data.flatMap(({ paragraphs }) => paragraphs.flatMap((p) => p.qas.map((q) => [q.question, p.context])));
}

async function small(rounds) {
  const directory = process.env.FLATRANK_MINILM;
  if (!directory || !existsSync(directory)) return 'skipped: FLATRANK_MINILM names no model directory';
  const rows = [];
  const loss = new MultipleNegativesRankingLoss();
  for (const dropout of [false, true]) {
    const name = `6x384, MNR, 16 questions + contexts ≤ 256${dropout ? ', dropout 0.1' : ''}`;
    const batches = batchesOf(xquad(), rounds + 2);
    rows.push(await race(name, directory, 'sentence-transformer', 256, dropout, loss, batches));
  }
  return table(header, rows);
}

/** A directory with a random model of 12 layers. */
async function largeModels(use) {
  const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-large-'));
  try {
    const tokenizer = path.join(shared, 'models/wordpiece-ko-en-16k');
    const sizes = { hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12, intermediate_size: 3072 };
    const config = { model_type: 'bert', architectures: ['BertModel'], vocab_size: 32000, ...sizes };
    const dropout = { hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1 };
    for (const [name, kind] of [
      ['bi', SentenceTransformer],
      ['cross', CrossEncoder],
    ]) {
      const model = await kind.initialize({ ...config, ...dropout }, tokenizer, { seed: 1 });
      await model.save(path.join(folder, name));
      await model.dispose();
    }
    return await use(path.join(folder, 'bi'), path.join(folder, 'cross'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const korquad = async () =>
  (await loadKorQuad(path.join(shared, 'data/korquad/KorQuAD_v1.0_dev.json'))).map((r) => [r.question, r.context]);

async function large(rounds, only, peerRounds) {
  const pairs = await korquad();
  return largeModels(async (bi, cross) => {
    const rows = [];
    for (const [directory, kind, loss] of [
      [bi, 'sentence-transformer', new MultipleNegativesRankingLoss()],
      [bi, 'sentence-transformer', new CosineSimilarityLoss()],
      [cross, 'cross-encoder', new BinaryCrossEntropyLoss()],
    ].filter(([, , { type }]) => only === undefined || type === only))
      rows.push(
        await race(`12x768, ${loss.type}`, directory, kind, 512, false, loss, batchesOf(pairs, rounds + 2), peerRounds),
      );
    return table(header, rows);
  });
}

/**
 * Whether memory stays where it is over many batches of changing shapes: 2 to 16 pairs of up to 32 words, every 25th batch 16
 * pairs of up to 512 tokens. The one with the longest texts comes first, so that what is added later would be a leak.
 */
async function level(rounds) {
  const pairs = await korquad();
  const random = new Generator(5);
  const cut = (text) =>
    text
      .split(' ')
      .slice(0, 1 + random.integers(32))
      .join(' ');
  const drawn = batchesOf(pairs, rounds);
  const whole = (i) => i % 25 === 0;
  const characters = (batch) => batch.flat().join('').length;
  const longest = drawn.filter((_, i) => whole(i)).sort((a, b) => characters(b) - characters(a));
  const batches = drawn.map((batch, i) =>
    whole(i) ? longest[i / 25] : batch.slice(0, 2 + random.integers(size - 1)).map((texts) => texts.map(cut)),
  );
  const loss = new MultipleNegativesRankingLoss();
  return largeModels(async (bi) => {
    const ours = await contestant(bi, 'sentence-transformer', 512, true, loss);
    const seen = [];
    for (const [i, batch] of batches.entries()) {
      await ours.run(batch);
      if ((i + 1) % Math.ceil(rounds / 10) !== 0) continue;
      seen.push([i + 1, megabytes(process.memoryUsage.rss() / 2 ** 20), megabytes(ownPeak())]);
      console.log(seen.at(-1).join(', '));
    }
    await ours.dispose();
    return table(['steps', 'resident', 'peak'], seen);
  });
}

async function optimizer(rounds) {
  const parts = 20;
  const make = () => Array.from({ length: parts }, () => new Float32Array(1e8 / parts).fill(0.01));
  const [parameters, gradients, first, second] = [make(), make(), make(), make()];
  const decayed = new Int32Array(parts).fill(1);
  const times = { adamw: [], norm: [] };
  for (let step = 1; step <= rounds + 2; step++) {
    let started = performance.now();
    await native().adamw(parameters, gradients, first, second, decayed, 0.01, 1e-3, 0.9, 0.999, 1e-8, step, 0.5);
    if (step > 2) times.adamw.push(performance.now() - started);
    started = performance.now();
    await native().gradientNorm(gradients);
    if (step > 2) times.norm.push(performance.now() - started);
  }
  const row = (name, list) => [name, median(list).toFixed(0), Math.min(...list).toFixed(0)];
  return table(
    ['100 million parameters', 'ms', 'least'],
    [row('AdamW', times.adamw), row('norm of the gradients', times.norm)],
  );
}

const questions = { small, large, level, optimizer };
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [question = 'small', rounds = '7', loss, peerRounds] = process.argv.slice(2);
  console.log(
    `${machine(native().isa)}\n${await questions[question](Number(rounds), loss, peerRounds && Number(peerRounds))}`,
  );
  process.exit(0);
}
