// What the models that come with flatrank are worth, on sets they never saw, beside BM25 and all-MiniLM-L6-v2.
//   node bench/box-model.mjs [BI_ENCODER CROSS_ENCODER] [--only NAME,…]
// Reads ../shared/data; FLATRANK_MINILM names the other model's directory. Without arguments it measures what is in the package
// and writes results/box-model.md.
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  Bm25,
  CrossEncoder,
  EmbeddingSimilarityEvaluator,
  InformationRetrievalEvaluator,
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
const blend = 20;

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

const digits = (value) => value.toFixed(3);

/** Spearman of cosine. */
const sts = (load) => async (systems) => {
  const evaluator = new EmbeddingSimilarityEvaluator({ ...pairsOf(await load()), similarityFnNames: ['cosine'] });
  const rows = [];
  for (const { name, encoder } of systems)
    if (encoder) rows.push([name, digits((await evaluator.evaluate(encoder))['spearman_cosine'])]);
  return [['', "Spearman's correlation"], rows];
};

/** hit@1, hit@10 and MRR@10, each distinct text searched once. */
const hits = (load) => async (systems) => {
  const task = await load();
  const rows = [];
  const row = (name, { hitRates, mrr }) => rows.push([name, ...[hitRates[1], hitRates[10], mrr].map(digits)]);
  for (const { name, encoder, crossEncoder } of systems) {
    if (!encoder) row(name, await evaluateBm25HitRate(task));
    else if (!crossEncoder) row(name, await evaluateHitRate({ ...task, encoder, metric: 'cosine' }));
    else
      for (const weight of [0, blend])
        row(
          weight === 0 ? name : `${name}, blended`,
          await evaluateHitRateWithRerank({ ...task, encoder, crossEncoder, metric: 'cosine', blend: weight }),
        );
  }
  return [[`${task.rows.length} questions, ${task.corpus.length} texts`, 'hit@1', 'hit@10', 'MRR@10'], rows];
};

async function scifact(systems) {
  const { corpus, queries, qrels } = await loadBeir(data('scifact'));
  const rows = [];
  for (const { name, encoder, crossEncoder } of systems) {
    if (crossEncoder) continue;
    if (encoder) {
      const evaluator = new InformationRetrievalEvaluator({ queries, corpus, relevantDocs: qrels });
      const metrics = await evaluator.evaluate(encoder);
      rows.push([name, digits(metrics['cosine_ndcg@10']), digits(metrics['cosine_recall@10'])]);
      continue;
    }
    const ids = [...corpus.keys()];
    const bm25 = new Bm25([...corpus.values()].map(({ title, text }) => `${title} ${text}`));
    const rankings = [...qrels.keys()].map((id) => Array.from(bm25.search(queries.get(id), 100).labels, (i) => ids[i]));
    const relevant = [...qrels.values()].map((documents) => new Set(documents.keys()));
    const metrics = retrievalMetrics(rankings, relevant);
    rows.push([name, digits(metrics['ndcg@10']), digits(metrics['recall@10'])]);
  }
  return [['', 'NDCG@10', 'recall@10'], rows];
}

const tasks = {
  klue: ['KLUE-STS dev, 519 pairs, Korean', sts(() => loadKlueSts(data('klue'), { split: 'validation' }))],
  korsts: ['KorSTS test, 1,379 pairs, Korean', sts(() => loadKorSts(data('korsts'), { split: 'test' }))],
  stsb: ['STS-B test, 1,379 pairs, English', sts(stsB)],
  korquad: ['KorQuAD: Korean questions, paragraphs of Wikipedia', hits(korQuad)],
  'docs-ko': ['Documentation, held-out pages: Korean titles, Korean sections', hits(() => documentation('ko', 'ko'))],
  'docs-en': ['Documentation, held-out pages: English titles, English sections', hits(() => documentation('en', 'en'))],
  'docs-ko-en': [
    'Documentation, held-out pages: Korean titles, English sections',
    hits(() => documentation('ko', 'en')),
  ],
  'docs-en-ko': [
    'Documentation, held-out pages: English titles, Korean sections',
    hits(() => documentation('en', 'ko')),
  ],
  xquad: ['XQuAD: English questions, paragraphs of Wikipedia', hits(xquad)],
  scifact: ['SciFact test: English claims, abstracts', scifact],
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } });
if (!existsSync(shared)) {
  console.log(`Skipped: no data in ${shared}.`);
  process.exit(0);
}
const [biEncoder, cross] = positionals;
const [encoder, crossEncoder] = [await SentenceTransformer.load(biEncoder), await CrossEncoder.load(cross)];
const int8 = await SentenceTransformer.load(biEncoder, { precision: 'int8' });
const { FLATRANK_MINILM: other } = process.env;
const systems = [
  { name: 'BM25' },
  ...(other ? [{ name: 'all-MiniLM-L6-v2', encoder: await SentenceTransformer.load(other) }] : []),
  { name: 'box-ko-en', encoder },
  { name: 'box-ko-en, int8', encoder: int8 },
  { name: 'box-ko-en, 30 reranked', encoder, crossEncoder },
];
const chosen = values.only?.split(',') ?? Object.keys(tasks);
let text = `# The model in the box\n\n\`node bench/box-model.mjs\`. The weight of the blend is ${blend}.\n`;
for (const name of chosen) {
  const [title, measure] = tasks[name];
  const section = `## ${title}\n\n${table(...(await measure(systems)))}\n`;
  console.log(section);
  text += `\n${section}`;
}
for (const { encoder } of systems) await encoder?.dispose();
await crossEncoder.dispose();
if (positionals.length === 0 && chosen.length === Object.keys(tasks).length)
  writeFileSync(fileURLToPath(new URL('results/box-model.md', import.meta.url)), text);
