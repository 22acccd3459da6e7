/** What the cross-encoder learns from: each question with its own context, one at random, and mined ones. */
import { addIrrelevantContexts, type InputExample } from '../data/index.js';
import type { QuestionContext } from '../evaluate/index.js';
import type { OnProgress, SentenceTransformer } from '../model/index.js';
import { Generator } from '../random/index.js';
import { mineHardNegatives } from '../train/index.js';
import type { SplitRows } from './data.js';
import { contextsOf } from './read.js';

/** Mined negatives: for each row of `apart`, contexts by their number in {@link minedCorpus}. */
export type Mined = readonly (readonly number[])[];

/** What negatives are mined from: contexts that no test or validation question has. */
export function minedCorpus({ apart }: SplitRows): string[] {
  return [...new Set(apart.flatMap(contextsOf))];
}

/**
 * Draws `perQuery` negatives for each question from those that the bi-encoder ranks first. Drawn, not taken from the
 * top, as what stands highest there often answers the question as well.
 */
export async function mine(
  encoder: SentenceTransformer,
  data: SplitRows,
  o: { perQuery: number; biK: number; seed: number; onProgress: OnProgress; signal: AbortSignal | undefined },
): Promise<Mined> {
  const corpus = minedCorpus(data);
  const places = new Map(corpus.map((text, i) => [text, i]));
  // All contexts of a question are given as its positives, so that none of them is mined.
  const rows = data.apart.flatMap((row) => contextsOf(row).map((context) => ({ texts: [row.question, context] })));
  const { onProgress, signal } = o;
  const found = await mineHardNegatives(encoder, rows, {
    rangeMax: o.biK,
    perQuery: o.biK,
    corpus,
    onProgress,
    signal,
  });
  const near = new Map<string, Set<number>>();
  for (const { texts } of found) {
    const [question, , negative] = texts as [string, string, string];
    const list = near.get(question);
    if (list) list.add(places.get(negative)!);
    else near.set(question, new Set([places.get(negative)!]));
  }
  const random = new Generator(o.seed);
  return data.apart.map(({ question }) => random.shuffle([...(near.get(question) ?? [])]).slice(0, o.perQuery));
}

/** The labelled examples, question by question. */
export function crossExamples(data: SplitRows, mined: Mined | undefined, seed: number): InputExample[] {
  const corpus = mined ? minedCorpus(data) : [];
  const own = ownContexts(data.apart);
  return addIrrelevantContexts(data.apart, { seed }).flatMap(({ question, context, irrelevantContext }, i) => {
    const negatives = [irrelevantContext, ...(mined?.[i] ?? []).map((place) => corpus[place]!)];
    return [
      { texts: [question, context], label: 1 },
      ...negatives
        .filter((text) => !own.get(question)!.has(text))
        .map((text) => ({ texts: [question, text], label: 0 })),
    ];
  });
}

/** All contexts that answer a question, whichever row says so. */
function ownContexts(rows: readonly QuestionContext[]): Map<string, Set<string>> {
  const own = new Map<string, Set<string>>();
  for (const row of rows) own.set(row.question, new Set([...(own.get(row.question) ?? []), ...contextsOf(row)]));
  return own;
}
