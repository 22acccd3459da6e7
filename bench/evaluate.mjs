// Are the measures right? The same data, the same model and the same evaluators here and in Python: STS-B and SciFact by
// sentence-transformers' evaluators, XQuAD by the hit rate. FLATRANK_MODEL names a directory of all-MiniLM-L6-v2 with
// onnx/model.onnx and, for Python, model.safetensors.
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Bm25,
  EmbeddingSimilarityEvaluator,
  InformationRetrievalEvaluator,
  SentenceTransformer,
  evaluateBm25HitRate,
  evaluateHitRate,
  loadBeir,
  loadKlueSts,
  loadKorQuad,
  readExamples,
  retrievalMetrics,
} from 'flatrank';
import { Peer, here, table } from './harness.mjs';

const data = path.resolve(here, '../../shared/data');

async function stsB() {
  const examples = [];
  const file = path.join(data, 'stsb-en/stsb-en-test.csv');
  for await (const example of readExamples(file, { columns: ['sentence1', 'sentence2', 'score'], maxLabel: 5 }))
    examples.push(example);
  return examples;
}

async function klueSts() {
  const rows = await loadKlueSts(path.join(data, 'klue'), { split: 'validation' });
  return rows.map(({ sentence1, sentence2, score }) => ({ texts: [sentence1, sentence2], label: score }));
}

async function sts(model) {
  return EmbeddingSimilarityEvaluator.fromInputExamples(await stsB(), {
    similarityFnNames: ['cosine', 'euclidean', 'manhattan', 'dot'],
  }).evaluate(model);
}

/** What 8 bits cost: Spearman's correlation of cosine with both precisions. */
async function int8(directory) {
  const rows = [];
  for (const [name, examples] of [
    ['STS-B test', await stsB()],
    ['KLUE-STS dev', await klueSts()],
  ]) {
    const evaluator = EmbeddingSimilarityEvaluator.fromInputExamples(examples, {});
    const values = [];
    for (const precision of ['float32', 'int8']) {
      const model = await SentenceTransformer.load(directory, { precision });
      values.push((await evaluator.evaluate(model))[evaluator.primaryMetric]);
      await model.dispose();
    }
    rows.push([name, examples.length, ...values.map((value) => value.toFixed(4)), (values[1] - values[0]).toFixed(4)]);
  }
  return table(['data', 'pairs', 'float32', 'int8', 'int8 - float32'], rows);
}

async function scifact(model) {
  const { corpus, queries, qrels } = await loadBeir(path.join(data, 'scifact'));
  const metrics = await new InformationRetrievalEvaluator({ queries, corpus, relevantDocs: qrels }).evaluate(model);
  const ids = [...corpus.keys()];
  const bm25 = new Bm25([...corpus.values()].map(({ title, text }) => `${title} ${text}`));
  const rankings = [...qrels.keys()].map((id) => Array.from(bm25.search(queries.get(id), 100).labels, (i) => ids[i]));
  const relevant = [...qrels.values()].map((documents) => new Set(documents.keys()));
  return { ...metrics, 'bm25_ndcg@10': retrievalMetrics(rankings, relevant)['ndcg@10'] };
}

async function xquad(model) {
  const rows = await loadKorQuad(path.join(data, 'xquad'));
  const corpus = [...new Set(rows.map(({ context }) => context))];
  const own = await evaluateHitRate({ rows, encoder: model });
  const distinct = await evaluateHitRate({ rows, corpus, encoder: model });
  const milliseconds = ({ embedding, search }) =>
    `${(embedding * 1000).toFixed(2)} ms and search ${(search * 1000).toFixed(3)} ms`;
  console.log(`one question: encoding ${milliseconds(own.secondsPerQuery)}`);
  console.log(`all together: encoding ${milliseconds(own.batched.secondsPerQuery)} a question`);
  const named = (suffix, { hitRates, mrr }) => ({
    [`hit@1${suffix}`]: hitRates[1],
    [`hit@10${suffix}`]: hitRates[10],
    [`mrr@10${suffix}`]: mrr,
  });
  return {
    ...named('', own),
    ...named(', distinct contexts', distinct),
    ...named(', distinct contexts, BM25', await evaluateBm25HitRate({ rows, corpus })),
  };
}

const tasks = {
  sts: ['STS-B test, 1,379 pairs', sts, 256],
  scifact: ['SciFact test, 300 queries, 5,183 documents', scifact, 256],
  xquad: ['XQuAD English, 1,190 questions, at most 128 tokens', xquad, 128],
};

const directory = process.env.FLATRANK_MODEL;
if (!directory || !existsSync(data)) {
  console.log(`Skipped: ${directory ? `no data in ${data}` : 'FLATRANK_MODEL names no model directory'}.`);
  process.exit(0);
}
const chosen = process.argv.slice(2).filter((name) => name in tasks);
const peer = existsSync(path.join(directory, 'model.safetensors'))
  ? Peer.python('evaluate_peer', ['sentence_transformers'])
  : undefined;
let text = '';
for (const name of chosen.length > 0 ? chosen : Object.keys(tasks)) {
  const [title, run, maxSeqLength] = tasks[name];
  const model = await SentenceTransformer.load(directory, { maxSeqLength });
  const ours = await run(model);
  await model.dispose();
  const request = { model: path.resolve(directory), data, task: name, maxSeqLength };
  const theirs = peer ? await peer.ask(request) : {};
  const rows = Object.entries(ours).map(([metric, value]) => {
    const other = theirs[metric];
    return other === undefined
      ? [metric, value.toFixed(6), '–', '–']
      : [metric, value.toFixed(6), other.toFixed(6), Math.abs(value - other).toExponential(1)];
  });
  const section = `## ${title}\n\n${table(['measure', 'flatrank', 'Python', 'difference'], rows)}\n`;
  console.log(section);
  text += `\n${section}`;
}
peer?.stop();
if (chosen.length === 0) {
  text += `\n## int8, Spearman of cosine\n\n${await int8(directory)}\n`;
  const intro = `# Measures beside Python's\n\nModel: ${path.basename(path.resolve(directory))}. Python: sentence-transformers on torch, float32.\n`;
  writeFileSync(fileURLToPath(new URL('results/evaluate.md', import.meta.url)), intro + text);
}
