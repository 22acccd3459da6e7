// What each stage learns from. Texts of held-out pages are in none of it.
import { mineHardNegatives } from 'flatrank';
import { Generator } from '../../dist/random/index.js';
import { parallel, parallelLines, readSections, readTalk } from './corpus.mjs';
import { Words } from './words.mjs';

const seed = 42;

/** Texts that all examples are made of. */
export async function trainingTexts(data, tokenizer) {
  const sections = await readSections(data);
  const train = Object.fromEntries(
    Object.entries(sections).map(([kind, list]) => [kind, list.filter(({ test }) => !test)]),
  );
  const pairs = { docs: parallel(train.docs), tldr: parallel(train.tldr) };
  const lines = { docs: parallelLines(pairs.docs), tldr: parallelLines(pairs.tldr) };
  return { ...train, pairs, lines, talk: await readTalk(data), words: new Words(tokenizer, seed) };
}

/** Texts with the English text whose embedding they are to have: English texts themselves, and translations. */
export function distillation({ docs, tldr, pairs, lines, words }) {
  const examples = new Map();
  const add = (text, english) => {
    if (text.length > 2 && english.length > 2 && !examples.has(text)) examples.set(text, { text, english });
  };
  const both = ({ ko, en }) => {
    add(en, en);
    add(ko, en);
  };
  for (const section of [...docs, ...tldr].filter(({ lang }) => lang === 'en')) {
    for (const text of [section.query, section.text, ...section.text.split('\n')]) add(text, text);
  }
  for (const { ko, en } of [...pairs.docs, ...pairs.tldr]) {
    both({ ko: ko.query, en: en.query });
    both({ ko: ko.text, en: en.text });
  }
  for (const pair of [...lines.docs, ...lines.tldr]) both(pair);
  for (const text of words.english(20_000)) add(text, text);
  return [...examples.values()];
}

/** The texts without those of pages that models are compared by. */
export function withoutValidation({ docs, pairs, lines, ...rest }) {
  const left = docs.filter(({ validation }) => !validation);
  const kept = pairs.docs.filter(({ en }) => !en.validation);
  return {
    docs: left,
    pairs: { ...pairs, docs: kept },
    lines: { ...lines, docs: parallelLines(kept) },
    ...rest,
  };
}

/** Pairs of texts that belong together: lists of `count`, one an objective. */
export function ranking({ docs, tldr, pairs, lines, talk, words }, count) {
  const titles = counts(docs.map(({ title }) => title));
  const own = docs.map(({ query, title, text }, i) => [i % 3 === 0 && titles.get(title) === 1 ? title : query, text]);
  const across = pairs.docs.flatMap(({ ko, en }) => [
    [ko.query, en.text],
    [en.query, ko.text],
    [ko.text, en.text],
    [en.text, ko.text],
    [ko.query, en.query],
  ]);
  const sides = lines.docs.filter(({ ko, en }) => ko.length > 20 && en.length > 20).map(({ ko, en }) => [ko, en]);
  const lists = [
    own,
    [...across, ...sides],
    commands({ tldr, pairs, lines }),
    [...talk.answers, ...talk.same],
    // Korean words take more telling apart: particles stand behind them.
    sample([...docs, ...docs.filter(({ lang }) => lang === 'ko')], count).map(({ text, lang }) =>
      words.pair(text, lang),
    ),
  ];
  return lists.map((list) => sample(list, count).map(pair));
}

/** What a command does, with the other lines of its page, in either language; lines of many commands say little. */
function commands({ tldr, pairs, lines }) {
  const times = counts(tldr.flatMap(({ text }) => text.split('\n')));
  const telling = (line) => line.length > 10 && times.get(line) === 1;
  const within = tldr.flatMap(({ title, text }) => {
    const all = text.split('\n');
    return all
      .map((line, i) => [line, [title, ...all.slice(0, i), ...all.slice(i + 1)].join('\n')])
      .filter(([line]) => telling(line));
  });
  const across = lines.tldr.filter(({ ko, en }) => telling(ko) && telling(en)).map(({ ko, en }) => [ko, en]);
  const pages = pairs.tldr.flatMap(({ ko, en }) => [
    [ko.text, en.text],
    [en.text, ko.text],
  ]);
  return [...sample(within, 2 * across.length), ...across, ...pages];
}

/** Titles with their sections, in one language and across, and what `encoder` takes for the section though it is not. */
export async function mined({ docs, pairs }, encoder, { perQuery, count, onProgress }) {
  const rows = [
    ...docs.map(({ query, text }) => pair([query, text])),
    ...sample(
      pairs.docs.flatMap(({ ko, en }) => [pair([ko.query, en.text]), pair([en.query, ko.text])]),
      4000,
    ),
  ];
  // Translations and sections of the same heading are answers, too.
  const own = new Map();
  for (const { texts } of rows) own.set(texts[0], (own.get(texts[0]) ?? new Set()).add(texts[1]));
  const translation = new Map(
    pairs.docs.flatMap(({ ko, en }) => [
      [ko.text, en.text],
      [en.text, ko.text],
    ]),
  );
  const found = await mineHardNegatives(encoder, rows, { rangeMax: 20, perQuery: 20, onProgress });
  const byRow = new Map();
  for (const { texts } of found) {
    const [query, positive, negative] = texts;
    const answers = own.get(query);
    if (answers.has(negative) || answers.has(translation.get(negative)) || negative === translation.get(positive))
      continue;
    const key = JSON.stringify([query, positive]);
    byRow.set(key, { query, positive, negatives: [...(byRow.get(key)?.negatives ?? []), negative] });
  }
  const random = new Generator(seed);
  return sample([...byRow.values()], count).flatMap(({ query, positive, negatives }) =>
    negatives.length < perQuery
      ? []
      : [{ texts: [query, positive, ...random.shuffle([...negatives]).slice(0, perQuery)] }],
  );
}

/**
 * Labelled pairs for a cross-encoder, each question with its own text and with one at random: lines with their translations,
 * titles with a line of their section, questions that name words of a passage, talk.
 */
export function labelled({ docs, lines, talk, words }) {
  const random = new Generator(seed + 1);
  const other = (list) => list[random.integers(list.length)];
  const examples = [];
  const add = (query, text, ...negatives) => {
    examples.push({ texts: [query, text], label: 1 });
    for (const negative of negatives) if (negative !== text) examples.push({ texts: [query, negative], label: 0 });
  };
  const short = (text) => text.length > 15 && text.length < 200;
  const translated = sample(
    lines.docs.filter(({ ko, en }) => short(ko) && short(en)),
    4_000,
  );
  translated.forEach(({ ko, en }, i) =>
    i % 2 === 0 ? add(ko, en, other(translated).en) : add(en, ko, other(translated).ko),
  );
  for (const lang of ['ko', 'en']) {
    const own = docs.filter((section) => section.lang === lang);
    const titled = own.flatMap(({ query, text }) =>
      text
        .split('\n')
        .filter(short)
        .map((line) => [query, line]),
    );
    for (const [query, line] of sample(titled, 1_200)) add(query, line, other(titled)[1]);
    const passages = sample(own, 1_200).map(({ text }) => words.pair(text, lang));
    for (const [question, passage] of passages) add(question, passage, other(passages)[1]);
  }
  for (const [question, answer] of sample(talk.answers, 500)) add(question, answer, other(talk.answers)[1]);
  return examples;
}

/**
 * Titles with their section and the `k` that `encoder` ranks first of all other sections of that language: to the English ones
 * from both languages, and to the Korean ones. Sections of the same heading are left out. Gives the texts, and of each
 * title the places of itself, its section and those.
 */
export async function candidates({ docs, pairs }, encoder, { k, onProgress }) {
  const places = new Map();
  const placeOf = (text) => places.get(text) ?? places.set(text, places.size).size - 1;
  const lists = [];
  for (const [to, from] of [
    ['en', 'ko'],
    ['ko', 'en'],
  ]) {
    const corpus = docs.filter(({ lang }) => lang === to);
    const rows = [
      ...(to === 'en' ? corpus : pairs.docs.map((both) => both[to])).map(({ query, text }) => pair([query, text])),
      ...pairs.docs.map((both) => pair([both[from].query, both[to].text])),
    ];
    const found = await mineHardNegatives(encoder, rows, {
      ...{ corpus: corpus.map(({ text }) => text), rangeMax: k, perQuery: k, outputFormat: 'n-tuple', onProgress },
    });
    for (const { texts } of found) lists.push(texts.map(placeOf));
  }
  return { texts: [...places.keys()], lists };
}

/**
 * Labelled pairs from such lists: a title with its own section, which is 1, and with `perQuery` of the others, each what
 * `label` gives, if it gives something, and with `atRandom` of that language that are not in its list, 0.
 */
export function ranked({ texts, lists }, label, { count, perQuery, atRandom }) {
  const random = new Generator(seed + 2);
  const positives = [...new Set(lists.map(([, positive]) => positive))];
  const inKorean = (place) => /[가-힣]/.test(texts[place]);
  const [korean, english] = [true, false].map((is) => positives.filter((place) => inKorean(place) === is));
  return sample(lists, count).flatMap((list) => {
    const [query, positive, ...others] = list.map((place) => texts[place]);
    const known = random
      .shuffle(others)
      .map((text) => ({ texts: [query, text], label: label(query, text) }))
      .filter(({ label }) => label !== undefined);
    const alike = inKorean(list[1]) ? korean : english;
    const far = Array.from({ length: atRandom }, () => alike[random.integers(alike.length)]);
    return [
      { texts: [query, positive], label: 1 },
      ...known.slice(0, perQuery),
      ...far.filter((place) => !list.includes(place)).map((place) => ({ texts: [query, texts[place]], label: 0 })),
    ];
  });
}

const pair = (texts) => ({ texts });

/** How often each value is there. */
function counts(values) {
  const times = new Map();
  for (const value of values) times.set(value, (times.get(value) ?? 0) + 1);
  return times;
}

/** `count` of the list at random, in random order; more than once only where there are too few. */
export function sample(list, count) {
  const random = new Generator(seed);
  const rounds = Array.from({ length: Math.ceil(count / list.length) }, () => random.permutation(list.length));
  return rounds.flatMap((round) => Array.from(round, (i) => list[i])).slice(0, count);
}
