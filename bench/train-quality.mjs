// What does training buy? Three roads on real data, the figures of Python's sentence-transformers beside ours.
//   node bench/train-quality.mjs klue-sts|korquad|english FOLDER [SECONDS]
// FOLDER keeps models, checkpoints and results; with SECONDS the run stops after that long and goes on when called again
// (exit code 3). Reads ../shared/data and FLATRANK_MINILM; says so and ends where they are absent.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as flatrank from '../dist/index.js';
import { Generator } from '../dist/random/index.js';
import { here } from './harness.mjs';

const [road, folder, seconds] = process.argv.slice(2);
const shared = path.resolve(here, '../../shared');
const data = (name) => path.join(shared, 'data', name);
const signal = seconds ? AbortSignal.timeout(Number(seconds) * 1000) : undefined;
const inFolder = (name) => path.join(folder, name);
const results = inFolder(`${road}.json`);
const known = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : {};

/** A figure that is computed once and kept. */
async function keep(name, make) {
  if (known[name] === undefined) {
    const started = performance.now();
    known[name] = await make();
    known[`${name} seconds`] = Math.round((performance.now() - started) / 100) / 10;
    writeFileSync(results, JSON.stringify(known, undefined, 1));
    console.log(name, JSON.stringify(known[name]), `${known[`${name} seconds`]} s`);
  }
  return known[name];
}

/** What `use` gives for a model, which goes then. */
async function using(opened, use) {
  const model = await opened;
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

/** A trained model in FOLDER/name: there already, or trained now, piece by piece. */
async function trained(name, open, options) {
  const output = inFolder(name);
  const secondsKey = `${name} training seconds`;
  if (!existsSync(path.join(output, 'done'))) {
    const started = performance.now();
    const spent = () => {
      known[secondsKey] = Math.round((known[secondsKey] ?? 0) + (performance.now() - started) / 1000);
      writeFileSync(results, JSON.stringify(known, undefined, 1));
    };
    try {
      const report = await using(open(), (model) =>
        flatrank.fit(model, {
          ...options,
          outputPath: output,
          checkpointPath: `${output}-checkpoints`,
          checkpointSaveSteps: 100,
          checkpointSaveTotalLimit: 1,
          logPath: `${output}.jsonl`,
          resume: true,
          signal,
          onProgress: ({ step, totalSteps, loss, secondsLeft }) => {
            if (step % 25 === 0)
              console.log(`${name} ${step}/${totalSteps} loss ${loss.toFixed(4)}, ${Math.round(secondsLeft)} s left`);
          },
        }),
      );
      spent();
      writeFileSync(path.join(output, 'done'), JSON.stringify(report.steps));
    } catch (error) {
      spent();
      throw error;
    }
  }
  return output;
}

const wordpiece = path.join(shared, 'models/wordpiece-ko-en-16k');
const small = () => JSON.parse(readFileSync(path.join(wordpiece, 'config-small.json'), 'utf8'));
const fresh = () => flatrank.SentenceTransformer.initialize(small(), wordpiece, { seed: 42, maxSeqLength: 256 });

/** Rows of embeddings, scaled to length one. */
async function units(model, texts) {
  return model.encode(texts, { normalize: true, signal });
}

/** Share of queries whose own document is among the first k, and MRR@10. */
async function retrieval(model, queries, corpus, own, ks) {
  const index = new flatrank.IndexFlatIP(model.dimension);
  await index.add(await units(model, corpus));
  const most = Math.max(...ks, 10);
  const { labels } = await index.search(await units(model, queries), most);
  index.dispose();
  const ranks = queries.map((_, i) => labels.subarray(i * most, (i + 1) * most).indexOf(own[i]));
  return { ...rates(ranks, ks), candidates: queries.map((_, i) => [...labels.subarray(i * most, i * most + 30)]) };
}

function rates(ranks, ks) {
  const mean = (values) => Math.round((values.reduce((a, b) => a + b, 0) / values.length) * 1000) / 1000;
  const hits = Object.fromEntries(ks.map((k) => [`hit@${k}`, mean(ranks.map((r) => Number(r >= 0 && r < k)))]));
  return { ...hits, 'mrr@10': mean(ranks.map((r) => (r >= 0 && r < 10 ? 1 / (r + 1) : 0))) };
}

const without = ({ candidates, ...figures }) => figures;

async function klueSts() {
  const rows = await flatrank.loadKlueSts(data('klue/klue_sts_train.csv'));
  const { train } = flatrank.trainTestSplit(rows, { testSize: 0.1, seed: 42 });
  const dev = await flatrank.loadKlueSts(data('klue/klue-sts-v1.1_dev.json'));
  const evaluator = new flatrank.EmbeddingSimilarityEvaluator({
    sentences1: dev.map((r) => r.sentence1),
    sentences2: dev.map((r) => r.sentence2),
    scores: dev.map((r) => r.score),
    similarityFnNames: ['cosine'],
  });
  await keep('before', () => using(fresh(), (model) => evaluator.evaluate(model)));
  const tuned = await trained('klue-sts-model', fresh, {
    objectives: [
      {
        examples: train.map((r) => ({ texts: [r.sentence1, r.sentence2], label: r.score })),
        loss: new flatrank.CosineSimilarityLoss(),
      },
    ],
    batchSize: 16,
    epochs: 4,
    learningRate: 1e-4,
    warmupSteps: 100,
  });
  const load = flatrank.SentenceTransformer.load;
  await keep('after', () => using(load(tuned), (model) => evaluator.evaluate(model)));
  return tuned;
}

async function korquad() {
  const base = inFolder('klue-sts-model');
  if (!existsSync(path.join(base, 'done'))) throw new Error('klue-sts comes first');
  const rows = await flatrank.loadKorQuad(data('korquad/KorQuAD_v1.0_dev.json'));
  const { train, test } = flatrank.trainTestSplit(rows, { testSize: 1000, seed: 42 });
  const corpus = [...new Set(rows.map((r) => r.context))];
  const places = new Map(corpus.map((text, i) => [text, i]));
  const measure = async (directory) => {
    const own = test.map((r) => places.get(r.context));
    const asked = test.map((r) => r.question);
    const opened = flatrank.SentenceTransformer.load(directory, { maxSeqLength: 256 });
    return without(await using(opened, (model) => retrieval(model, asked, corpus, own, [1, 10, 30])));
  };
  await keep('before', () => measure(base));
  const open = () => flatrank.SentenceTransformer.load(base, { maxSeqLength: 256 });
  const tuned = await trained('korquad-model', open, {
    objectives: [{ examples: flatrank.positivePairs(train), loss: new flatrank.MultipleNegativesRankingLoss() }],
    batchSize: 16,
    epochs: 1,
    learningRate: 1e-4,
    warmupSteps: 30,
  });
  await keep('after', () => measure(tuned));
}

/** Documentation: questions are titles, documents sections, split by page. */
function documentation() {
  const lines = gunzipSync(readFileSync(data('docs/docs-en.jsonl.gz')))
    .toString('utf8')
    .trim()
    .split('\n');
  const records = lines.map((line) => JSON.parse(line)).filter(({ source }) => source === 'react' || source === 'vue');
  const rows = records.map((r) => ({
    page: `${r.source} ${r.page}`,
    query: r.page_title && r.page_title !== r.title ? `${r.page_title} ${r.title}` : r.title,
    text: r.text,
  }));
  const corpus = [...new Set(rows.map((r) => r.text))];
  const pages = [...new Set(rows.map((r) => r.page))];
  const order = new Generator(42).permutation(pages.length);
  const testPages = new Set([...order.subarray(0, Math.ceil(0.2 * pages.length))].map((i) => pages[i]));
  const count = (key) => rows.reduce((map, r) => map.set(r[key], (map.get(r[key]) ?? 0) + 1), new Map());
  const [queries, texts] = [count('query'), count('text')];
  const usable = rows.filter((r) => queries.get(r.query) === 1 && texts.get(r.text) === 1);
  const draw = (list, n) => [...new Generator(42).permutation(list.length).subarray(0, n)].map((i) => list[i]);
  return {
    corpus,
    pages: pages.length,
    trainCorpus: [...new Set(rows.filter((r) => !testPages.has(r.page)).map((r) => r.text))],
    test: draw(
      usable.filter((r) => testPages.has(r.page)),
      500,
    ),
    train: draw(
      usable.filter((r) => !testPages.has(r.page)),
      1600,
    ),
  };
}

async function english() {
  const base = process.env.FLATRANK_MINILM;
  if (!base || !existsSync(base)) throw new Error('FLATRANK_MINILM names no model directory');
  const { corpus, trainCorpus, test, train, pages } = documentation();
  console.log(`${pages} pages, ${corpus.length} texts, ${test.length} test and ${train.length} training questions`);
  const places = new Map(corpus.map((text, i) => [text, i]));
  const ks = [1, 3, 10, 30];
  const load = (directory) => flatrank.SentenceTransformer.load(directory, { maxSeqLength: 96 });
  const measure = (directory) => {
    const own = test.map((r) => places.get(r.text));
    return using(load(directory), (model) =>
      retrieval(
        model,
        test.map((r) => r.query),
        corpus,
        own,
        ks,
      ),
    );
  };
  const ranksOf = (candidates) => candidates.map((list, i) => list.indexOf(places.get(test[i].text)));
  const before = await keep('base', () => measure(base));
  await keep('base, first 200', async () => rates(ranksOf(before.candidates).slice(0, 200), ks));
  const bi = await trained('english-bi', () => load(base), {
    objectives: [
      {
        examples: train.map((r) => ({ texts: [r.query, r.text] })),
        loss: new flatrank.MultipleNegativesRankingLoss(),
      },
    ],
    batchSize: 16,
    epochs: 1,
    learningRate: 5e-5,
    warmupSteps: 10,
  });
  const tuned = await keep('tuned', () => measure(bi));
  await keep('tuned, first 200', async () => rates(ranksOf(tuned.candidates).slice(0, 200), ks));

  // Own, one at random, and for all but 200 questions one of the bi-encoder's first 30, from training pages alone.
  const pairs = await keep('cross-encoder examples', async () => {
    const place = new Map(trainCorpus.map((text, i) => [text, i]));
    const own = train.map((r) => place.get(r.text));
    const asked = train.map((r) => r.query);
    const { candidates } = await using(load(bi), (model) => retrieval(model, asked, trainCorpus, own, [30]));
    const random = new Generator(42);
    const other = (not) => {
      for (;;) {
        const i = random.integers(trainCorpus.length);
        if (i !== not) return i;
      }
    };
    return train.flatMap((r, i) => {
      const list = [
        [own[i], 1],
        [other(own[i]), 0],
      ];
      const hard = candidates[i].filter((c) => c !== own[i]);
      if (i >= 200) list.push([hard[random.integers(hard.length)], 0]);
      return list.map(([c, label]) => [i, c, label]);
    });
  });
  const openCross = () => flatrank.CrossEncoder.fromEncoder(bi, { numLabels: 1, seed: 42, maxLength: 80 });
  const cross = await trained('english-cross', openCross, {
    objectives: [{ examples: pairs.map(([i, c, label]) => ({ texts: [train[i].query, trainCorpus[c]], label })) }],
    batchSize: 8,
    epochs: 1,
    learningRate: 5e-5,
    learningRates: { classifier: 5e-4, 'pooler.': 5e-4 },
    warmupSteps: 57,
  });
  await keep('reranked, first 200', async () => {
    const questions = test.slice(0, 200);
    const candidates = tuned.candidates.slice(0, 200);
    const asked200 = questions.map((r) => r.query);
    const [q, d] = await using(load(bi), async (model) => [await units(model, asked200), await units(model, corpus)]);
    const asked = questions.flatMap((r, i) => candidates[i].map((c) => [r.query, corpus[c]]));
    const opened = flatrank.CrossEncoder.load(cross, { maxLength: 80 });
    const logits = await using(opened, (model) => model.predict(asked, { activation: 'none', signal }));
    const ranks = (blend) =>
      questions.map((r, i) => {
        const scored = candidates[i].map((c, k) => {
          const cosine = q.row(i).reduce((sum, x, j) => sum + x * d.row(c)[j], 0);
          return [c, logits[i * 30 + k] + blend * cosine];
        });
        return scored.sort((a, b) => b[1] - a[1]).findIndex(([c]) => c === places.get(r.text));
      });
    return { cross: rates(ranks(0), [1, 3, 10]), blend: rates(ranks(20), [1, 3, 10]) };
  });
}

const roads = { 'klue-sts': klueSts, korquad, english };
mkdirSync(folder, { recursive: true });
try {
  await roads[road]();
  console.log(
    JSON.stringify(
      known,
      (key, value) => (key === 'candidates' || key === 'cross-encoder examples' ? undefined : value),
      1,
    ),
  );
} catch (error) {
  if (!signal?.aborted) throw error;
  console.log('to be continued');
  process.exitCode = 3;
}
