import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { worst } from '../golden/closeness.js';
import { goldenDirectory } from '../golden/golden-directory.js';

const recorded = JSON.parse(readFileSync(path.join(goldenDirectory, 'families.json'), 'utf8'));
const pairs: [string, string][] = recorded.pairs;
const texts: string[] = recorded.texts;
const encoders = Object.keys(recorded.encoders);
const crossEncoders = Object.keys(recorded.cross_encoders);
const family = (name: string): string => path.join(goldenDirectory, 'families', name);
const maxLength = recorded.max_length;

interface Saved {
  kind: 'sentence-transformer' | 'cross-encoder';
  directory: string;
  cols: number;
  values: Float32Array;
}

/** Our numbers for models as they were when they were saved. */
const saved = new Map<string, Saved>();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'flatrank-saved-'));
  const keep = async (name: string, model: SentenceTransformer | CrossEncoder): Promise<void> => {
    const directory = path.join(folder, name);
    await model.save(directory);
    if (model instanceof SentenceTransformer) {
      const { data, cols } = await model.encode(texts);
      saved.set(name, { kind: 'sentence-transformer', directory, cols, values: data });
    } else {
      const values = await model.predict(pairs, { activation: 'none' });
      saved.set(name, { kind: 'cross-encoder', directory, cols: values.length, values });
    }
    await model.dispose();
  };
  for (const name of encoders) {
    await keep(name, await SentenceTransformer.load(family(name), { maxSeqLength: maxLength }));
    await keep(`${name}-head`, await CrossEncoder.fromEncoder(family(name), { numLabels: 2, maxLength }));
  }
  for (const name of crossEncoders) await keep(name, await CrossEncoder.load(family(name), { maxLength }));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const names = [...encoders, ...encoders.map((name) => `${name}-head`), ...crossEncoders];

const python = process.env['FLATRANK_PYTHON'];
const hasPython = python !== undefined && spawnSync(python, ['-c', 'import sentence_transformers']).status === 0;
describe.skipIf(!hasPython)('sentence-transformers (skipped: FLATRANK_PYTHON names no Python that has it)', () => {
  it('loads what was saved and gives our numbers', async () => {
    const child = spawn(python!, [path.join(import.meta.dirname, 'saved_peer.py')], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (const name of names) {
      const { kind, directory, cols, values } = saved.get(name)!;
      child.stdin.write(`${JSON.stringify({ kind, directory, texts, pairs })}\n`);
      const answer = JSON.parse((await lines.next()).value as string);
      expect(worst(values, answer.values, cols), name).toBeLessThan(1e-5);
      if (kind === 'sentence-transformer')
        expect(answer).toMatchObject({ maxSeqLength: maxLength, similarity: 'cosine' });
      else expect(answer.activation, name).toBe(answer.numLabels === 1 ? 'Sigmoid' : 'Identity');
    }
    child.stdin.end();
    await once(child, 'close');
  });
});

const peers = process.env['FLATRANK_PEERS'];
const hasTransformersJs =
  peers !== undefined && existsSync(path.join(peers, 'node_modules', '@huggingface', 'transformers'));
describe.skipIf(!hasTransformersJs)('transformers.js (skipped: the folder FLATRANK_PEERS has none)', () => {
  it('loads what was saved and gives our numbers', async () => {
    const entry = createRequire(path.join(path.resolve(peers!), 'index.js')).resolve('@huggingface/transformers');
    const { AutoModelForSequenceClassification, AutoTokenizer, env, pipeline } = await import(
      pathToFileURL(entry).href
    );
    env.allowRemoteModels = false;
    env.localModelPath = folder;
    // It cuts long texts in its own way, and takes an empty second text for none: those are not compared.
    const fits = ({ input_ids: { dims } }: any): boolean => dims[1] <= maxLength;
    for (const name of names) {
      const { kind, cols, values } = saved.get(name)!;
      if (kind === 'sentence-transformer') {
        const extract = await pipeline('feature-extraction', name, { dtype: 'fp32' });
        for (const [i, text] of texts.entries()) {
          if (!fits(extract.tokenizer(text))) continue;
          const { data } = await extract(text, { pooling: 'mean' });
          expect(worst(values.subarray(i * cols, (i + 1) * cols), [...data], cols), `${name}: ${text}`).toBeLessThan(
            1e-5,
          );
        }
        continue;
      }
      const tokenizer = await AutoTokenizer.from_pretrained(name);
      const model = await AutoModelForSequenceClassification.from_pretrained(name, { dtype: 'fp32' });
      const labels = values.length / pairs.length;
      for (const [i, [a, b]] of pairs.entries()) {
        const inputs = tokenizer(a, { text_pair: b, return_token_type_ids: true });
        if (b === '' || !fits(inputs)) continue;
        const { logits } = await model(inputs);
        const scale = Math.max(...values.map(Math.abs));
        for (let j = 0; j < labels; j++)
          expect(Math.abs(logits.data[j] - values[i * labels + j]!) / scale, `${name}: ${a}`).toBeLessThan(1e-5);
      }
    }
  });
});

it('what was saved loads again with the same numbers, to the bit', async () => {
  for (const name of names) {
    const { kind, directory, values } = saved.get(name)!;
    if (kind === 'sentence-transformer') {
      await using model = await SentenceTransformer.load(directory);
      expect(model.maxSeqLength).toBe(maxLength);
      expect((await model.encode(texts)).data).toEqual(values);
    } else {
      await using model = await CrossEncoder.load(directory);
      expect(await model.predict(pairs, { activation: 'none' })).toEqual(values);
    }
  }
});
