import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CrossEncoder, SentenceTransformer } from 'flatrank';
import { describe, expect, it } from 'vitest';
import { readModelDirectory } from '../../dist/model/directory.js';
import { TextTokenizer } from '../../dist/model/tokenizer.js';
import { worst } from './closeness.js';
import { goldenDirectory as golden } from './golden-directory.js';

const read = (name: string) => JSON.parse(readFileSync(join(golden, name), 'utf8'));
const recorded = read('families.json');
const texts: string[] = recorded.texts;
const pairs: [string, string][] = recorded.pairs;
const maxLength: number = recorded.max_length;

async function tokenizerOf(directory: string): Promise<TextTokenizer> {
  const { transformer, config, tokenizerConfig, lowercase } = await readModelDirectory(directory);
  return TextTokenizer.load(transformer, { config, tokenizerConfig, lowercase });
}

describe.each(Object.keys(recorded.encoders))('%s from its checkpoint', (name) => {
  const expected = recorded.encoders[name];
  const directory = join(golden, 'families', name);

  it.each(['mean', 'cls', 'max'] as const)('%s pooling', async (pooling) => {
    await using model = await SentenceTransformer.load(directory, { pooling, maxSeqLength: maxLength });
    expect(model.dimension).toBe(expected.dim);
    const { data } = await model.encode(texts);
    expect(worst(data, expected[pooling], expected.dim)).toBeLessThan(1e-5);
  });

  it('a text gives the same numbers alone as in a batch, to the bit', async () => {
    await using model = await SentenceTransformer.load(directory, { maxSeqLength: maxLength });
    const together = await model.encode(texts);
    for (let i = 0; i < texts.length; i += 5) expect(await model.encode(texts[i]!)).toEqual(together.row(i).slice());
  });

  it('token ids', async () => {
    const tokenizer = await tokenizerOf(directory);
    expect(texts.map((text) => tokenizer.single(text, maxLength).ids)).toEqual(expected.input_ids);
  });
});

describe.each(Object.keys(recorded.cross_encoders))('%s from its checkpoint', (name) => {
  const expected = recorded.cross_encoders[name];
  const directory = join(golden, 'families', name);

  it('class scores', async () => {
    await using model = await CrossEncoder.load(directory, { maxLength });
    expect(model.numLabels).toBe(expected.num_labels);
    const logits = await model.predict(pairs, { activation: 'none' });
    expect(worst(logits, expected.logits, expected.logits.length)).toBeLessThan(1e-5);
  });

  it('token ids', async () => {
    const tokenizer = await tokenizerOf(directory);
    // The recorder's call takes an empty second text for none; in a list of pairs it is one.
    for (const [i, [a, b]] of pairs.entries())
      if (b !== '') expect(tokenizer.pair(a, b, maxLength).ids).toEqual(expected.input_ids[i]);
  });
});

interface Recorded {
  texts: string[];
  ids: number[][];
  embeddings: number[];
  dim: number;
  max_seq_length: number;
}

const miniLm = process.env['FLATRANK_MINILM'];
describe.skipIf(!miniLm || !existsSync(miniLm))(
  'all-MiniLM-L6-v2 (skipped: FLATRANK_MINILM names no directory)',
  () => {
    it('token ids and embeddings', async () => {
      const { texts, ids, embeddings, dim, max_seq_length } = read('minilm.json') as Recorded;
      const tokenizer = await tokenizerOf(miniLm!);
      expect(texts.map((text) => tokenizer.single(text, max_seq_length).ids)).toEqual(ids);
      await using model = await SentenceTransformer.load(miniLm);
      const { data } = await model.encode(texts);
      expect(worst(data, embeddings, dim)).toBeLessThan(1e-5);
    });
  },
);
