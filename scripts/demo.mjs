// npm run demo: tunes a retriever to questions about retrieval (Korean and English, demo/passages.jsonl), shows on held-out
// questions what each stage bought, and answers two of them before and after reranking. Nothing is downloaded.
// It starts from the models that come with flatrank; FLATRANK_MODEL names another bi-encoder. --quick trains for a few steps only.
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CrossEncoder, Retriever, trainTestSplit, tune } from 'flatrank';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const out = process.env.FLATRANK_DEMO_OUT ?? 'demo-out';
const quick = process.argv.includes('--quick') ? { maxSteps: 3 } : {};
const seed = 42;
const testSize = 120;

const passages = readFileSync('demo/passages.jsonl', 'utf8').trim().split('\n').map(JSON.parse);
const data = passages.flatMap(({ text, questions }) => questions.map((question) => ({ question, context: text })));
const model = process.env.FLATRANK_MODEL;

console.log(
  `${passages.length} passages, ${data.length} questions, ${testSize} of them held out; ` +
    `starting from ${model ?? 'the models that come with flatrank'}`,
);
rmSync(out, { recursive: true, force: true });
const started = performance.now();
let stage;
const report = await tune({
  ...{ data, model, out, seed, testSize, validationSize: 40, maxSeqLength: 96 },
  biEncoder: { epochs: 4, batchSize: 32, learningRate: 1e-4, ...quick },
  crossEncoder: { epochs: 2, learningRate: 5e-5, hardNegatives: 2, ...quick },
  onProgress: (progress) => {
    if (progress.stage !== stage) process.stderr.write(`  ${(stage = progress.stage)}\n`);
  },
});
console.log(`tuned in ${((performance.now() - started) / 1000).toFixed(0)} s; ${out}/report.html has all of it\n`);

const rows = ['base', 'tuned', 'blended'].map((name) => report.systems.find((system) => system.name === name));
const titles = ['base', 'fine-tuned', 'fine-tuned, with rerank'];
console.log(`${''.padEnd(25)}${['hit@1', 'hit@10', 'MRR@10', 'a query'].map((t) => t.padStart(10)).join('')}`);
for (const [i, { hitRates, mrr, secondsPerQuery }] of rows.entries()) {
  const cells = [hitRates[1], hitRates[10], mrr].map((value) => value.toFixed(3));
  const line = [...cells, `${(secondsPerQuery * 1000).toFixed(1)} ms`].map((cell) => cell.padStart(10)).join('');
  console.log(titles[i].padEnd(25) + line);
}

const crossEncoder = await CrossEncoder.load(`${out}/cross-encoder`);
const retriever = await Retriever.open(`${out}/store`, { crossEncoder, readOnly: true });
const { test } = trainTestSplit(data, { testSize, seed });
const hangul = /[가-힣]/;
for (const { question, context } of [
  test.find((row) => !hangul.test(row.question)),
  test.find((row) => hangul.test(row.question)),
]) {
  console.log(`\n${question}`);
  const candidates = await retriever.search(question, { k: 30 });
  const reranked = await retriever.rerank(question, candidates, { k: 3, blend: report.blend.weight });
  for (const [title, hits] of Object.entries({ found: candidates.slice(0, 3), reranked })) {
    console.log(`  ${title}`);
    for (const [i, { text, score }] of hits.entries())
      console.log(`  ${text === context ? '→' : ' '} ${i + 1}. ${score.toFixed(3).padStart(7)}  ${text.slice(0, 90)}…`);
  }
}
console.log('\n→ is the passage that the question was written for');
await retriever.dispose();
await crossEncoder.dispose();
