// The text that the models learn from, and what is held out of it. Whole pages are, in both languages: a tenth of them, and a
// twentieth that the later stages do not learn from and are compared by.
import path from 'node:path';
import { readJsonl, readRecords } from 'flatrank';
import { Generator } from '../../dist/random/index.js';

const seed = 42;
const heldOut = 0.1;
const compared = 0.05;
/** Licences under which text may be learnt from. */
const licences = new Set(['CC-BY-4.0', 'MIT', 'Apache-2.0', 'MIT OR Apache-2.0']);
/** Its licence would do, but a publisher sells the same translation as a book. */
const leftOut = ({ source, lang }) => source === 'rust-book' && lang === 'ko';

/** Sections of documentation: { source, page, anchor, lang, title, query, text, test, validation }, in the order of the files. */
export async function readSections(data) {
  const sections = { docs: [], tldr: [] };
  for (const [kind, list] of Object.entries(sections)) {
    for (const lang of ['en', 'ko'])
      for await (const { fields } of readJsonl(path.join(data, `docs/${kind}-${lang}.jsonl.gz`))) {
        const { source, page, anchor, title, page_title: pageTitle, text, license } = fields;
        if (!licences.has(license))
          throw new Error(`${kind}-${lang}: no text of licence ${license} may be learnt from`);
        if (leftOut({ source, lang })) continue;
        const query = pageTitle === '' || pageTitle === title ? title : `${pageTitle} ${title}`;
        list.push({ source, page: `${source} ${page}`, anchor, lang, title, query, text });
      }
    const pages = [...new Set(list.map(({ page }) => page))];
    const order = Array.from(new Generator(seed).permutation(pages.length), (i) => pages[i]);
    const [tested, validated] = [heldOut, heldOut + compared].map((share) => Math.ceil(share * pages.length));
    const [test, validation] = [new Set(order.slice(0, tested)), new Set(order.slice(tested, validated))];
    for (const section of list)
      Object.assign(section, { test: test.has(section.page), validation: validation.has(section.page) });
  }
  return sections;
}

/** Sections that are translations of each other: { ko, en }. */
export function parallel(sections) {
  const byPlace = (lang) => {
    const places = new Map();
    for (const section of sections.filter((s) => s.lang === lang)) {
      const place = JSON.stringify([section.page, section.anchor]);
      places.set(place, [...(places.get(place) ?? []), section]);
    }
    return places;
  };
  const english = byPlace('en');
  return [...byPlace('ko')].flatMap(([place, [ko, ...more]]) => {
    const [en, ...others] = english.get(place) ?? [];
    return en && more.length === 0 && others.length === 0 ? [{ ko, en }] : [];
  });
}

/** Lines of translated sections that stand side by side: as many on either side, each a paragraph or a list's item. */
export function parallelLines(pairs) {
  return pairs.flatMap(({ ko, en }) => {
    const [korean, english] = [ko.text.split('\n'), en.text.split('\n')];
    if (korean.length !== english.length) return [];
    return korean.map((line, i) => ({ ko: line, en: english[i] }));
  });
}

/** Korean talk: questions with their answers, and questions that mean the same. */
export async function readTalk(data) {
  const answers = [];
  for await (const { fields } of readRecords(path.join(data, 'songys-chatbot/ChatbotData.csv')))
    answers.push([fields.Q.trim(), fields.A.trim()]);
  const same = [];
  for await (const { fields } of readRecords(path.join(data, 'songys-question-pair/train.txt'), { format: 'tsv' }))
    // Zero says that both questions are the same.
    if (Number(fields.is_duplicate) === 0 && fields.question1 !== fields.question2)
      same.push([fields.question1.trim(), fields.question2.trim()]);
  return { answers, same };
}
