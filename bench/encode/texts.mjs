// What the encoding bench encodes: texts made here, and where the corpora are, real ones.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadBeir, loadKorQuad, readExamples } from 'flatrank';
import { here } from '../harness.mjs';

const words = `the model reads a text and gives a vector that stands for what it says so that two texts about the same
thing lie close together while others lie far apart search finds the nearest rows of an index by distance and a second
model reads question and answer side by side to order the few best again`.split(/\s+/);

/** Texts of `least` to `most` words, reproducible. */
export function makeTexts(count, least, most, seed) {
  let state = seed;
  const below = (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: least + below(most - least + 1) }, () => words[below(words.length)]).join(' '),
  );
}

const made = {
  'one query of 6 words': makeTexts(1, 6, 6, 1),
  'one text of 500 words': makeTexts(1, 500, 500, 5),
  '256 sentences of 5 to 25 words': makeTexts(256, 5, 25, 2),
  '64 abstracts of 120 to 200 words': makeTexts(64, 120, 200, 3),
  '64 texts of 5 to 200 words': makeTexts(64, 5, 200, 4),
  '40 questions of 5 to 15 words, 40 abstracts': [...makeTexts(40, 5, 15, 6), ...makeTexts(40, 120, 200, 7)],
};

/** Texts as they come, from sentences of STS-B, abstracts of SciFact and questions about Wikipedia of XQuAD. */
async function realTexts(data) {
  const sentences = [];
  const columns = ['sentence1', 'sentence2', 'score'];
  for await (const { texts } of readExamples(path.join(data, 'stsb-en/stsb-en-test.csv'), { columns, maxLabel: 5 }))
    sentences.push(...texts);
  const { corpus } = await loadBeir(path.join(data, 'scifact'));
  const abstracts = [...corpus.values()].map(({ text }) => text).filter(({ length }) => length < 1300); // 256 tokens
  const rows = await loadKorQuad(path.join(data, 'xquad'));
  const contexts = [...new Set(rows.map(({ context }) => context))];
  return {
    '512 sentences of STS-B': sentences.filter((_, i) => i % 5 === 0).slice(0, 512),
    '64 abstracts of SciFact': abstracts.slice(0, 64),
    '40 questions and 40 contexts of XQuAD': [
      ...rows.slice(0, 40).map(({ question }) => question),
      ...contexts.slice(0, 40),
    ],
  };
}

/** All texts by what they are. */
export async function benchTexts() {
  const data = path.resolve(here, '../../shared/data');
  if (existsSync(data)) return { ...made, ...(await realTexts(data)) };
  console.log('skipped: real texts (no corpora beside this folder)');
  return made;
}
