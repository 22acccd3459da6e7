// Trains the models that come with flatrank, from random weights, by flatrank alone:
//   node scripts/box-model/train.mjs --data DIR --teacher DIR --out DIR
// DIR of the data has docs/ and songys-*/ (see models/box-ko-en/README.md); that of the teacher is all-MiniLM-L6-v2. Each stage is kept in
// --out when it is done, and goes on from its last checkpoint when it was interrupted. --steps N ends every stage after N.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  BinaryCrossEntropyLoss,
  CrossEncoder,
  MSELoss,
  MultipleNegativesRankingLoss,
  SentenceTransformer,
  fit,
} from 'flatrank';
import { comparingCrossEncoder } from './comparing.mjs';
import {
  candidates,
  distillation,
  labelled,
  mined,
  ranked,
  ranking,
  sample,
  trainingTexts,
  withoutValidation,
} from './examples.mjs';
import { publish } from './publish.mjs';
import { reduced, teacherEmbeddings } from './teacher.mjs';

const { values: o } = parseArgs({
  options: {
    data: { type: 'string' },
    teacher: { type: 'string' },
    tokenizer: { type: 'string' },
    out: { type: 'string', default: 'box-model' },
    steps: { type: 'string' },
    stages: { type: 'string', default: 'distill,rank,mine,hard,lists,cross,rerank,publish' },
  },
});
if (!o.data || !o.teacher) throw new Error('--data DIR and --teacher DIR are needed');
const tokenizer = o.tokenizer ?? path.join(o.data, '../models/wordpiece-ko-en-16k');
const config = JSON.parse(readFileSync(path.join(tokenizer, 'config-small.json'), 'utf8'));
const maxSteps = o.steps === undefined ? undefined : Number(o.steps);
const folder = (name) => path.join(o.out, name);
const texts = await trainingTexts(o.data, tokenizer);
const seed = 42;
/** Examples of each of the objectives that take turns. */
const perObjective = 3_840;

/** Reports every so often. */
function progress(name, every = 50) {
  let last = 0;
  return ({ done, total, step = done, totalSteps = total, loss, tokensPerSecond, secondsLeft }) => {
    if (step < totalSteps && step - last < every) return;
    last = step;
    const speed =
      loss === undefined
        ? ''
        : ` loss ${loss.toFixed(4)}, ${tokensPerSecond.toFixed(0)} tokens/s, ${(secondsLeft / 60).toFixed(1)} min left`;
    console.log(`${new Date().toISOString().slice(11, 19)} ${name} ${step}/${totalSteps}${speed}`);
  };
}

/** Trains what `open` gives into the stage's folder, unless it is there already. */
async function stage(name, open, options) {
  if (existsSync(folder(name))) return;
  const model = await open();
  const { objectives, ...plan } = await options(model);
  console.log(`${name}: ${objectives.map(({ examples }) => examples.length).join(' + ')} examples`);
  await fit(model, {
    objectives,
    ...{ seed, maxSteps, ...plan },
    outputPath: folder(name),
    ...{
      checkpointPath: folder(`checkpoints-${name}`),
      checkpointSaveSteps: 250,
      checkpointSaveTotalLimit: 1,
      resume: true,
    },
    logPath: folder(`${name}.jsonl`),
    onProgress: progress(name),
  });
  await model.dispose();
}

/** Texts with their places among the teacher's embeddings. */
async function teachings() {
  const list = distillation(texts);
  const english = [...new Set(list.map((example) => example.english))];
  const embeddings = await teacherEmbeddings(o.teacher, english, folder('teacher'), {
    maxSeqLength: 128,
    onProgress: progress('teacher', 2048),
  });
  const places = new Map(english.map((text, i) => [text, i]));
  return { embeddings, places: new Map(list.map(({ text, english }) => [text, places.get(english)])) };
}

/** Texts with the teacher's embeddings. */
async function taught() {
  const { embeddings, places } = await teachings();
  const { targets, kept } = reduced(embeddings, config.hidden_size);
  console.log(`${config.hidden_size} components keep ${(100 * kept).toFixed(1)}% of the teacher's embeddings`);
  return [...places].map(([text, place]) => ({ texts: [text], label: targets.row(place) }));
}

/** Labels of titles with sections that are not their own, up to 0.5 where the teacher finds them alike; if it knows both. */
async function opinions() {
  const { embeddings, places } = await teachings();
  return (query, text) => {
    const [a, b] = [query, text].map((known) => places.get(known));
    if (a === undefined || b === undefined) return undefined;
    const other = embeddings.row(b);
    const cosine = embeddings.row(a).reduce((sum, x, i) => sum + x * other[i], 0);
    return 0.5 / (1 + Math.exp(-10 * (cosine - 0.6)));
  };
}

/** Titles with sections and with what is not their section, and easier pairs. */
async function judged(options) {
  const examples = [
    ...ranked(await candidateLists(), await opinions(), options),
    ...sample(labelled(withoutValidation(texts)), 2_400),
  ];
  return [{ examples, loss: new BinaryCrossEntropyLoss() }];
}

const stages = {
  distill: () =>
    stage(
      'distill',
      () => SentenceTransformer.initialize(config, tokenizer, { seed, maxSeqLength: 128 }),
      async () => ({
        objectives: [{ examples: await taught(), loss: new MSELoss() }],
        ...{ batchSize: 32, learningRate: 7e-4, warmupSteps: 300, dropout: false },
      }),
    ),
  rank: () =>
    stage(
      'rank',
      () => SentenceTransformer.load(folder('distill'), { maxSeqLength: 256 }),
      async () => ({
        objectives: [
          ...ranking(texts, perObjective).map((examples) => ({
            examples,
            loss: new MultipleNegativesRankingLoss({ symmetric: true }),
          })),
          { examples: sample(await taught(), perObjective), loss: new MSELoss() },
        ],
        ...{ batchSize: 64, learningRate: 3e-4, warmupSteps: 50, dropout: false },
      }),
    ),
  mine: () => hardNegatives(),
  hard: () =>
    stage(
      'hard',
      () => SentenceTransformer.load(folder('rank')),
      async () => ({
        objectives: [
          {
            examples: (await hardNegatives()).map(({ texts }) => ({ texts: texts.slice(0, 3) })),
            loss: new MultipleNegativesRankingLoss(),
          },
        ],
        ...{ batchSize: 48, learningRate: 1e-4, warmupSteps: 10, dropout: false },
      }),
    ),
  lists: () => candidateLists(),
  cross: () =>
    stage(
      'cross',
      async () => {
        const some = sample([...texts.docs, ...texts.tldr], 400).map(({ text }) => text);
        await comparingCrossEncoder(folder('hard'), folder('comparing'), some, { seed, maxLength: 256 });
        return CrossEncoder.load(folder('comparing'), { maxLength: 128 });
      },
      async () => ({
        objectives: await judged({ count: 2_400, perQuery: 1, atRandom: 2 }),
        ...{ batchSize: 32, learningRate: 2e-4, warmupSteps: 20, dropout: false },
      }),
    ),
  rerank: () =>
    stage(
      'rerank',
      () => CrossEncoder.load(folder('cross'), { maxLength: 128 }),
      async () => ({
        objectives: await judged({ count: 4_200, perQuery: 2, atRandom: 1 }),
        ...{ batchSize: 32, learningRate: 2e-4, warmupSteps: 20, dropout: false },
      }),
    ),
  publish: () => publish(folder('hard'), folder('rerank'), folder('box-ko-en'), { maxLength: 256 }),
};

/** What is found once with a bi-encoder, in a file. */
async function found(name, bi, find) {
  const file = folder(`${name}.json`);
  if (!existsSync(file)) {
    const encoder = await SentenceTransformer.load(folder(bi), { precision: 'int8' });
    const list = await find(encoder);
    await encoder.dispose();
    writeFileSync(`${file}.tmp`, JSON.stringify(list));
    renameSync(`${file}.tmp`, file);
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Titles with their sections and two that the ranking model takes for them. */
const hardNegatives = () =>
  found('mined', 'rank', (encoder) =>
    mined(texts, encoder, { perQuery: 2, count: 2_400, onProgress: progress('mine', 2000) }),
  );

/** Titles with their sections and the 30 that the bi-encoder ranks first besides. */
const candidateLists = () =>
  found('lists', 'hard', (encoder) =>
    candidates(withoutValidation(texts), encoder, { k: 30, onProgress: progress('lists', 2000) }),
  );

for (const name of o.stages.split(',')) await stages[name]();
