/** The models that come with the package: box-ko-en. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CrossEncoder, evaluateHitRate, Retriever, SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { SafetensorsFile } from '../../dist/formats/safetensors.js';
import { scratchFolder } from './run.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const box = path.join(root, 'models/box-ko-en');
const folder = scratchFolder();

interface Passage {
  readonly lang: 'ko' | 'en';
  readonly text: string;
  readonly questions: readonly string[];
}
const passages = readFileSync(path.join(root, 'demo/passages.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Passage);
const rowsOf = (lang: string) =>
  passages
    .filter((passage) => passage.lang === lang)
    .flatMap(({ text, questions }) => questions.slice(0, 1).map((question) => ({ question, context: text })));
const corpus = passages.map(({ text }) => text);

describe('box-ko-en', () => {
  it.each(['bi-encoder', 'cross-encoder'])('has a %s of 16-bit weights in at most 16 MB', async (kind) => {
    const file = path.join(box, kind, 'model.safetensors');
    expect(statSync(file).size).toBeLessThan(16_000_000);
    const { tensors } = await SafetensorsFile.open(file);
    expect(new Set([...tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['F16']));
  });

  it('is the bi-encoder that is loaded where none is named', async () => {
    await using model = await SentenceTransformer.load();
    expect(model).toMatchObject({ dimension: 256, maxSeqLength: 256, similarityFnName: 'cosine' });
    expect(model.source).toEqual({ model: 'box-ko-en', precision: 'float32' });
    expect([...(await model.countTokens(['벡터를 검색한다', 'search vectors', '']))]).toEqual([5, 5, 2]);
    const embedding = await model.encode('벡터를 검색한다');
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 4);
    await using int8 = await SentenceTransformer.load(undefined, { precision: 'int8' });
    const cosine = (await int8.encode('벡터를 검색한다')).reduce((sum, x, i) => sum + x * embedding[i]!, 0);
    expect(cosine).toBeGreaterThan(0.98);
  });

  it.each(['ko', 'en'])('finds the passages that answer questions (%s)', async (lang) => {
    await using encoder = await SentenceTransformer.load();
    const { hitRates } = await evaluateHitRate({ rows: rowsOf(lang), corpus, encoder });
    expect(hitRates[1]).toBeGreaterThan(0.4);
    expect(hitRates[10]).toBeGreaterThan(0.75);
  });

  it('has a cross-encoder that ranks the passage that answers above others', async () => {
    await using model = await CrossEncoder.load();
    expect(model).toMatchObject({ numLabels: 1, maxLength: 256 });
    const rows = [...rowsOf('ko'), ...rowsOf('en')];
    const pairs = rows.flatMap(({ question, context }, i) => [
      [question, context] as const,
      [question, rows[(i + 20) % rows.length]!.context] as const,
    ]);
    const scores = await model.predict(pairs);
    const above = rows.filter((_, i) => scores[2 * i]! > scores[2 * i + 1]!);
    expect(above.length / rows.length).toBeGreaterThan(0.9);
  });

  it('stands in a store by its name, so that the store may move to another machine', async () => {
    const store = path.join(folder, 'store');
    await using encoder = await SentenceTransformer.load();
    const retriever = await Retriever.create({ encoder });
    await retriever.add(corpus.slice(0, 8));
    await retriever.save(store);
    await retriever.dispose();
    expect(JSON.parse(readFileSync(path.join(store, 'manifest.json'), 'utf8')).model.source.model).toBe('box-ko-en');
    await using opened = await Retriever.open(store);
    const [hit] = await opened.search(passages[1]!.questions[0]!, { k: 1 });
    expect(hit!.text).toBe(corpus[1]);
  });

  it('is what the command line works with where no model is given', () => {
    const flatrank = (...args: string[]): any =>
      JSON.parse(
        execFileSync(process.execPath, [path.join(root, 'dist/cli/main.js'), ...args, '--json'], {
          encoding: 'utf8',
          env: { ...process.env, FLATRANK_MODEL: undefined },
        }),
      );
    const file = path.join(root, 'demo/passages.jsonl');
    const [question] = passages[1]!.questions;
    const { hits } = flatrank('search', question!, file, '--rerank', 'box-ko-en', '-k', '3', '--blend', '40');
    expect(hits.map(({ id }: { id: string }) => id)).toContain('bi-encoder.ko');
    const store = path.join(folder, 'indexed');
    expect(flatrank('index', file, '--out', store)).toMatchObject({ encoded: passages.length });
    expect(flatrank('index', file, '--out', store)).toMatchObject({ encoded: 0, unchanged: passages.length });
    expect(flatrank('search', store, question!, '-k', '3').hits[0].id).toBe('bi-encoder.ko');
  });
});
