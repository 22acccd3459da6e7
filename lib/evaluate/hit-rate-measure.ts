/** What a hit is, and how many there are. */
import { checkArray, invalidArgument } from '../errors.js';
import { checkTexts } from './checks.js';
import { mean } from './ranking-metrics.js';

/** A question and the context that answers it: a row of KLUE-MRC or KorQuAD. */
export interface QuestionContext {
  question: string;
  context: string;
  /** Further contexts that answer it, where there are several: any of them is its own. */
  alternatives?: readonly string[];
}

/** What is searched for the contexts of questions. */
export interface HitRateData {
  rows: readonly QuestionContext[];
  /**
   * What is searched; the rows' own contexts in row order unless given, those that come twice included: of k places some
   * then go to copies. Give the distinct contexts to count each once.
   */
  corpus?: readonly string[];
}

/** How often the own context of a question is retrieved. */
export interface HitRate {
  questions: number;
  /** How many contexts were retrieved for each. */
  k: number;
  /** The part of the questions of which a context among the k is their own, by its text. */
  hitRate: number;
  /** The same at each of 1, 3, 5, 10, 20, 30, 50 and 100 up to k, and at k. */
  hitRates: Record<number, number>;
  /** The mean of 1 / the rank of the first own context among the k. */
  mrr: number;
  /** For each question the numbers of the contexts retrieved (of their rows, unless there is a `corpus`), best first. */
  predictions: number[][];
}

/** Ranks at which hit rates are given. */
const ranks = [1, 3, 5, 10, 20, 30, 50, 100];

/** Measures predictions: for each row the numbers of the k contexts retrieved, best first. */
export function hitRate(
  rows: readonly QuestionContext[],
  contexts: readonly string[],
  predictions: number[][],
  k: number,
): HitRate {
  const firsts = ownRanks(rows, contexts, predictions);
  const at = (rank: number): number => mean(firsts.map((first) => (first !== -1 && first < rank ? 1 : 0)));
  const measured = [...ranks.filter((rank) => rank < k), k];
  return {
    questions: rows.length,
    k,
    hitRate: at(k),
    hitRates: Object.fromEntries(measured.map((rank) => [rank, at(rank)])),
    mrr: mean(firsts.map((first) => (first === -1 ? 0 : 1 / (first + 1)))),
    predictions,
  };
}

/** For each row the rank, from 0, of the first of its own contexts among those retrieved; −1 where there is none. */
export function ownRanks(
  rows: readonly QuestionContext[],
  contexts: readonly string[],
  predictions: readonly (readonly number[])[],
): number[] {
  return predictions.map((list, i) => {
    const { context, alternatives = [] } = rows[i]!;
    return list.findIndex((place) => contexts[place] === context || alternatives.includes(contexts[place]!));
  });
}

/** The texts that are searched. */
export function corpusOf({ rows, corpus }: HitRateData): readonly string[] {
  if (corpus === undefined) return rows.map(({ context }) => context);
  const contexts = checkTexts('corpus', corpus);
  if (contexts.length === 0) throw invalidArgument('corpus', 'one context at least', corpus);
  return contexts;
}

/** Checks that `rows` are questions with contexts, one at least. */
export function checkRows(rows: readonly QuestionContext[]): void {
  if (checkArray('rows', rows).length === 0) throw invalidArgument('rows', 'one row at least', rows);
  for (const [i, row] of rows.entries())
    for (const name of ['question', 'context'] as const)
      if (typeof row?.[name] !== 'string') throw invalidArgument(`rows[${i}].${name}`, 'a string', row?.[name]);
}
