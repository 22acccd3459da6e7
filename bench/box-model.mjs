// What the models that come with flatrank are worth, on sets they never saw, beside BM25 and all-MiniLM-L6-v2.
//   node bench/box-model.mjs [BI_ENCODER CROSS_ENCODER] [--only TASK,…] [--systems NUMBER,…] [--keep FILE]
// Reads ../shared/data; FLATRANK_MINILM names the other model's directory. Figures that FILE has are not measured again. Without
// a choice of models, tasks or systems it writes results/box-model.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  Bm25,
  CrossEncoder,
  EmbeddingSimilarityEvaluator,
  InformationRetrievalEvaluator,
  Matrix,
  SentenceTransformer,
  evaluateBm25HitRate,
  evaluateHitRate,
  evaluateHitRateWithRerank,
  loadBeir,
  loadKlueSts,
  loadKorQuad,
  loadKorSts,
  readExamples,
  retrievalMetrics,
  trainTestSplit,
} from 'flatrank';
import { parallel, readSections } from '../scripts/box-model/corpus.mjs';
import { here, table } from './harness.mjs';

const shared = path.resolve(here, '../../shared/data');
const data = (name) => path.join(shared, name);
/** Weight of the retrieval score beside the cross-encoder's logit: the scale of the loss that both were trained with. */
const scale = 20;

const pairsOf = (rows) => ({
  sentences1: rows.map((row) => row.sentence1),
  sentences2: rows.map((row) => row.sentence2),
  scores: rows.map((row) => row.score),
});

async function stsB() {
  const rows = [];
  const columns = ['sentence1', 'sentence2', 'score'];
  for await (const { texts, label } of readExamples(data('stsb-en/stsb-en-test.csv'), { columns, maxLabel: 5 }))
    rows.push({ sentence1: texts[0], sentence2: texts[1], score: label });
  return rows;
}

/** Sections of held-out pages and their translations: titles ask for sections, among those of all pages of that language. */
async function documentation(from, to) {
  const { docs } = await readSections(shared);
  const corpus = [...new Set(docs.filter(({ lang }) => lang === to).map(({ text }) => text))];
  const asked = from === to ? docs.filter((s) => s.lang === from).map((s) => ({ [from]: s })) : parallel(docs);
  const questions = new Map();
  for (const pair of asked) if (pair[from].test) questions.set(pair[from].query, pair[to].text);
  return { rows: [...questions].map(([question, context]) => ({ question, context })), corpus };
}

async function korQuad() {
  const rows = await loadKorQuad(data('korquad/KorQuAD_v1.0_dev.json'));
  const { test } = trainTestSplit(rows, { testSize: 1000, seed: 42 });
  return { rows: test, corpus: [...new Set(rows.map(({ context }) => context))] };
}

async function xquad() {
  const rows = await loadKorQuad(data('xquad'));
  return { rows, corpus: [...new Set(rows.map(({ context }) => context))] };
}

/** Spearman of cosine. */
const sts = (load) => ({
  columns: ["Spearman's correlation"],
  load,
  async measure(rows, { encoder, crossEncoder }) {
    if (!encoder || crossEncoder) return undefined;
    const evaluator = new EmbeddingSimilarityEvaluator({ ...pairsOf(rows), similarityFnNames: ['cosine'] });
    return [(await evaluator.evaluate(encoder))['spearman_cosine']];
  },
});

/** Each distinct text searched once. */
const hits = (load) => ({
  columns: ['hit@1', 'hit@10', 'MRR@10'],
  load,
  async measure(task, { encoder, crossEncoder, blend }) {
    const call = { ...task, encoder, crossEncoder, metric: 'cosine', blend };
    const { hitRates, mrr } = crossEncoder
      ? await evaluateHitRateWithRerank(call)
      : await (encoder ? evaluateHitRate(call) : evaluateBm25HitRate(task));
    return [hitRates[1], hitRates[10], mrr];
  },
});

const scifact = {
  columns: ['NDCG@10', 'recall@10'],
  load: () => loadBeir(data('scifact')),
  async measure({ corpus, queries, qrels }, { encoder, crossEncoder }) {
    if (crossEncoder) return undefined;
    if (encoder) {
      const evaluator = new InformationRetrievalEvaluator({ queries, corpus, relevantDocs: qrels });
      const metrics = await evaluator.evaluate(encoder);
      return [metrics['cosine_ndcg@10'], metrics['cosine_recall@10']];
    }
    const ids = [...corpus.keys()];
    const bm25 = new Bm25([...corpus.values()].map(({ title, text }) => `${title} ${text}`));
    const rankings = [...qrels.keys()].map((id) => Array.from(bm25.search(queries.get(id), 100).labels, (i) => ids[i]));
    const relevant = [...qrels.values()].map((documents) => new Set(documents.keys()));
    const metrics = retrievalMetrics(rankings, relevant);
    return [metrics['ndcg@10'], metrics['recall@10']];
  },
};

const tasks = {
  klue: ['KLUE-STS dev, Korean', sts(() => loadKlueSts(data('klue'), { split: 'validation' }))],
  korsts: ['KorSTS test, Korean', sts(() => loadKorSts(data('korsts'), { split: 'test' }))],
  stsb: ['STS-B test, English', sts(stsB)],
  korquad: ['KorQuAD, Korean questions to paragraphs of Wikipedia', hits(korQuad)],
  'docs-ko': ['Held-out pages, Korean titles to Korean sections', hits(() => documentation('ko', 'ko'))],
  'docs-en': ['Held-out pages, English titles to English sections', hits(() => documentation('en', 'en'))],
  'docs-ko-en': ['Held-out pages, Korean titles to English sections', hits(() => documentation('ko', 'en'))],
  'docs-en-ko': ['Held-out pages, English titles to Korean sections', hits(() => documentation('en', 'ko'))],
  xquad: ['XQuAD, English questions to paragraphs of Wikipedia', hits(xquad)],
  scifact: ['SciFact test, English claims to abstracts', scifact],
};

/** What `make` gives for each of the keys, asked for those alone that are new. */
function remembering(make, keyOf = (key) => key) {
  const known = new Map();
  return async (keys) => {
    const fresh = keys.filter((key) => !known.has(keyOf(key)));
    if (fresh.length > 0) (await make(fresh)).forEach((value, i) => known.set(keyOf(fresh[i]), value));
    return keys.map((key) => known.get(keyOf(key)));
  };
}

/** Models by how they are loaded. What they have encoded and read is kept: several tasks search the same texts. */
const models = new Map();
function once(key, load) {
  if (!models.has(key)) models.set(key, load());
  return models.get(key);
}

async function openEncoder(directory, options) {
  const model = await SentenceTransformer.load(directory, options);
  const rows = remembering(async (texts) => {
    const embeddings = await model.encode(texts);
    return texts.map((_, i) => embeddings.row(i));
  });
  return {
    async encode(texts) {
      const data = new Float32Array(texts.length * model.dimension);
      (await rows(texts)).forEach((row, i) => data.set(row, i * model.dimension));
      return new Matrix(data, texts.length, model.dimension);
    },
  };
}

async function openCrossEncoder(directory) {
  const model = await CrossEncoder.load(directory);
  // Reranking asks for logits.
  const scores = remembering((pairs) => model.predict(pairs, { activation: 'none' }), JSON.stringify);
  return { numLabels: 1, predict: async (pairs) => Float32Array.from(await scores(pairs)) };
}

/** A system, and how to load it once it is needed. */
const system = (name, { directory, options, cross, blend = 0 } = {}) => ({
  name,
  load: async () => ({
    ...(directory && {
      encoder: await once(JSON.stringify([directory, options]), () => openEncoder(directory, options)),
    }),
    ...(cross && { crossEncoder: await once(cross + ' as cross-encoder', () => openCrossEncoder(cross)), blend }),
  }),
});

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, systems: { type: 'string' }, keep: { type: 'string' } },
});
if (!existsSync(shared)) {
  console.log(`Skipped: no data in ${shared}.`);
  process.exit(0);
}
const [directory = 'box-ko-en', cross = 'box-ko-en'] = positionals;
const { FLATRANK_MINILM: other } = process.env;
const all = [
  system('BM25'),
  ...(other ? [system('all-MiniLM-L6-v2', { directory: other })] : []),
  system('box-ko-en', { directory }),
  system('box-ko-en, int8', { directory, options: { precision: 'int8' } }),
  system('box-ko-en, 30 reranked', { directory, cross }),
  system('box-ko-en, 30 reranked and blended', { directory, cross, blend: scale }),
];
const systems = values.systems ? all.filter((_, i) => values.systems.split(',').includes(String(i))) : all;
const chosen = values.only?.split(',') ?? Object.keys(tasks);
/** Figures of an earlier run, by task and system. */
const kept = values.keep && existsSync(values.keep) ? JSON.parse(readFileSync(values.keep, 'utf8')) : {};
let text = `# The models in the box\n\n\`node bench/box-model.mjs\`. The blend's weight is ${scale}.\n`;
for (const task of chosen) {
  const [title, { columns, load, measure }] = tasks[task];
  const loaded = await load();
  const rows = [];
  for (const { name, load: open } of systems) {
    const key = `${task} ${name}`;
    kept[key] ??= (await measure(loaded, await open())) ?? null;
    if (values.keep) writeFileSync(values.keep, JSON.stringify(kept, undefined, 1));
    if (kept[key]) rows.push([name, ...kept[key].map((value) => value.toFixed(3))]);
  }
  const size = loaded.corpus
    ? `${(loaded.rows ?? [...loaded.qrels]).length} questions, ${loaded.corpus.length ?? loaded.corpus.size} texts`
    : `${loaded.length} pairs`;
  const section = `## ${title}\n\n${table([size, ...columns], rows)}\n`;
  console.log(section);
  text += `\n${section}`;
}
if (positionals.length === 0 && !values.only && !values.systems)
  writeFileSync(fileURLToPath(new URL('results/box-model.md', import.meta.url)), text);
process.exit(0);
