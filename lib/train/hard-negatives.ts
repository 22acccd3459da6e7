import type { InputExample } from '../data/index.js';
import { FlatrankError, checkInteger, checkObject, checkOneOf, checkSignal, invalidArgument } from '../errors.js';
import { IndexFlatIP } from '../flat/index.js';
import type { SentenceTransformer } from '../model/index.js';
import { notify, type OnProgress } from '../runtime/progress.js';

/** What {@link mineHardNegatives} takes. */
export interface HardNegativesOptions {
  /** Ranks among those that may be taken, from 0: [rangeMin, rangeMax). 0 and 30. */
  readonly rangeMin?: number | undefined;
  readonly rangeMax?: number | undefined;
  /** How much less similar (in cosine) than the query's farthest positive a negative must be; unless given, any may be taken. */
  readonly margin?: number | undefined;
  /** Negatives for each query; 3 unless given. */
  readonly perQuery?: number | undefined;
  /** Texts that negatives come from; the positives of all rows unless given. */
  readonly corpus?: readonly string[] | undefined;
  /** 'triplet': an example a negative; 'n-tuple': one with all perQuery negatives, and none where there are fewer. */
  readonly outputFormat?: 'triplet' | 'n-tuple' | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Queries of one search. */
const searchedAtOnce = 1024;

/**
 * Finds texts that an encoder takes for the answer though they are not: negatives that a
 * {@link MultipleNegativesRankingLoss} or {@link TripletLoss} learns more from than from random ones. Follows
 * sentence-transformers' `mine_hard_negatives`: exact search by cosine, own positives (all that a query has in `rows`) left
 * out, the nearest of the range first.
 * @param rows examples of a query and its positive (further texts are left out)
 * @returns examples of query, positive and negative(s), in the order of the rows, of which repeated ones count once
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`; an abort rejects with `signal.reason`
 */
export async function mineHardNegatives(
  encoder: SentenceTransformer,
  rows: readonly InputExample[],
  o: HardNegativesOptions = {},
): Promise<InputExample[]> {
  const { queries, positives } = checkRows(rows);
  const rangeMin = checkInteger('rangeMin', checkObject('options', o).rangeMin ?? 0, 0);
  const rangeMax = checkInteger('rangeMax', o.rangeMax ?? 30, rangeMin + 1);
  const perQuery = checkInteger('perQuery', o.perQuery ?? 3);
  const format = checkOneOf('outputFormat', o.outputFormat ?? 'triplet', ['triplet', 'n-tuple']);
  const { margin = -Infinity } = o;
  if (typeof margin !== 'number' || Number.isNaN(margin)) throw invalidArgument('margin', 'a number', margin);
  const signal = checkSignal(o.signal);

  const answers = new Map<string, Set<string>>();
  for (const [i, query] of queries.entries()) answers.set(query, (answers.get(query) ?? new Set()).add(positives[i]!));
  const corpus = [...new Set([...positives, ...(o.corpus ?? [])])];
  const places = new Map(corpus.map((text, i) => [text, i]));
  const asked = [...answers.keys()];
  const total = corpus.length + asked.length;
  const embed = (texts: readonly string[], done: number) =>
    encoder.encode(texts, {
      normalize: true,
      signal,
      onProgress: (progress) => {
        notify(o.onProgress, { done: done + progress.done, total });
      },
    });
  const documents = await embed(corpus, 0);
  const questions = await embed(asked, corpus.length);
  const index = new IndexFlatIP(encoder.dimension);
  try {
    await index.add(documents);
    const most = Math.max(...[...answers.values()].map((own) => own.size));
    const k = Math.min(corpus.length, rangeMax + most);
    const lowest = asked.map((query, i) =>
      Math.min(...[...answers.get(query)!].map((text) => dot(questions.row(i), documents.row(places.get(text)!)))),
    );
    const found = new Map<string, number[]>();
    for (let from = 0; from < asked.length; from += searchedAtOnce) {
      const part = questions.data.subarray(from * questions.cols, (from + searchedAtOnce) * questions.cols);
      const { labels, distances } = await index.search(part, k, signal ? { signal } : {});
      for (let i = 0; i < labels.length / k; i++) {
        const query = asked[from + i]!;
        const own = answers.get(query)!;
        const ranked = [...labels.subarray(i * k, (i + 1) * k)].filter(
          (place, r) => !own.has(corpus[place]!) && distances[i * k + r]! + margin <= lowest[from + i]!,
        );
        found.set(query, ranked.slice(rangeMin, rangeMax));
      }
    }
    return queries.flatMap((query, i) => {
      const positive = positives[i]!;
      if (!answers.get(query)!.delete(positive)) return []; // a row that was there before
      const negatives = found
        .get(query)!
        .slice(0, perQuery)
        .map((place) => corpus[place]!);
      if (format === 'triplet') return negatives.map((negative) => ({ texts: [query, positive, negative] }));
      return negatives.length === perQuery ? [{ texts: [query, positive, ...negatives] }] : [];
    });
  } finally {
    await index.dispose();
  }
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

function checkRows(rows: unknown): { queries: string[]; positives: string[] } {
  if (!Array.isArray(rows) || rows.length === 0)
    throw invalidArgument('rows', 'an array of at least one example', rows);
  const queries: string[] = [];
  const positives: string[] = [];
  for (const [i, row] of (rows as readonly Partial<InputExample>[]).entries()) {
    const [query, positive] = row?.texts ?? [];
    if (typeof query !== 'string' || typeof positive !== 'string')
      throw new FlatrankError('ERR_INVALID_ARGUMENT', `Expected \`rows[${i}].texts\` to hold a query and its positive`);
    queries.push(query);
    positives.push(positive);
  }
  return { queries, positives };
}
