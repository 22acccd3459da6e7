/** The tables that the Markdown and the HTML report share: texts, row by row. */
import type { TuneReport } from './types.js';

/** A table: names of its columns, and rows of cells. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const rate = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : value.toFixed(3);

/** Seconds in a unit that suits them. */
export function duration(seconds: number): string {
  if (seconds < 0.1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 1)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;
  return `${(seconds / 60).toFixed(seconds < 1200 ? 1 : 0)} min`;
}

/** The table of systems. */
export function systemsTable({ systems, options }: TuneReport): Table {
  const k = String(options['crossK']);
  const at = [...new Set(['1', k])];
  const all = Math.max(...systems.map(({ questions }) => questions));
  return {
    columns: [
      'stage',
      ...at.map((cutoff) => `hit@${cutoff}`),
      `MRR@${k}`,
      'a query',
      'Pearson',
      'Spearman',
      'questions',
    ],
    rows: systems.map(({ label, hitRates, mrr, secondsPerQuery, pearson, spearman, questions }) => [
      questions < all ? `${label}, first ${questions}` : label,
      ...at.map((cutoff) => rate(hitRates[cutoff])),
      ...[rate(mrr), duration(secondsPerQuery), rate(pearson), rate(spearman), String(questions)],
    ]),
  };
}

/** What the steps won and lost. */
export function changesTable({ changes, systems }: TuneReport): Table {
  const labelOf = (name: string): string => systems.find((system) => system.name === name)!.label;
  return {
    columns: ['step', 'questions', 'at', 'won', 'lost', 'p (sign test)'],
    rows: changes.flatMap(({ from, to, questions, counts }) =>
      Object.entries(counts).map(([k, { won, lost, p }]) => [
        `${labelOf(from)} → ${labelOf(to)}`,
        ...[String(questions), `hit@${k}`, String(won), String(lost)],
        p < 0.001 ? p.toExponential(0) : p.toFixed(3),
      ]),
    ),
  };
}

/** The weights that were tried. */
export function blendTable({ blend, options }: TuneReport): Table {
  const k = String(options['crossK']);
  return {
    columns: ['weight', `hit@${k}`, `MRR@${k}`, ''],
    rows: blend.tried.map(({ weight, hitRate, mrr }) => [
      ...[String(weight), rate(hitRate), rate(mrr)],
      weight === blend.weight ? 'chosen' : '',
    ]),
  };
}

/** The trainings. */
export function trainingTable({ training }: TuneReport): Table {
  return {
    columns: ['training', 'examples', 'steps', 'tokens', 'loss', 'time'],
    rows: Object.entries(training).map(([name, { examples, steps, tokens, loss, seconds }]) => [
      name,
      ...[examples, steps, tokens].map(String),
      loss.toFixed(4),
      duration(seconds),
    ]),
  };
}

/** Similarity, where there was a training on STS; nothing else. */
export function stsTable({ sts }: TuneReport): Table | undefined {
  if (!sts) return undefined;
  const { before, after, tuned } = sts;
  return {
    columns: ['STS', 'Pearson', 'Spearman'],
    rows: Object.entries({ base: before, 'trained on STS': after, 'fine-tuned': tuned }).map(
      ([name, { pearson, spearman }]) => [name, rate(pearson), rate(spearman)],
    ),
  };
}

/** Everything that is needed to repeat the run, by name. */
export function repeatTable({ data, options, fingerprints, environment }: TuneReport): Table {
  const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  const section = (name: string, values: object): string[][] =>
    Object.entries(values).map(([key, value]) => [`${name}.${key}`, plain(value)]);
  return {
    columns: ['what', 'value'],
    rows: [
      ...section('options', options),
      ...section('data', data),
      ...section('fingerprints', fingerprints),
      ...section('environment', environment),
    ],
  };
}

/** The times of the stages. */
export function secondsTable({ seconds }: TuneReport): Table {
  return {
    columns: ['stage', 'time'],
    rows: Object.entries(seconds).map(([stage, value]) => [stage, duration(value)]),
  };
}

/** What the tables do not say of themselves, a sentence each. */
export function notes({ data, blend, options, uncutHitRate, systems }: TuneReport): string[] {
  const [biK, crossK] = [String(options['biK']), String(options['crossK'])];
  const reranked = systems.find(({ name }) => name === 'reranked')!;
  return [
    `${data.train} training, ${data.validation} validation and ${data.test} test questions; ${data.contexts} contexts. The ` +
      `cross-encoder learned from the ${data.crossEncoderQuestions} training questions whose context is no test or validation question's.`,
    `Reranking orders the first ${biK} by the cross-encoder and keeps ${crossK}, over ${reranked.questions} questions; ` +
      `${rate(uncutHitRate)} of them have their own context among the ${biK}, which is the most that it can come to.`,
    `The blend orders by logit + ${blend.weight} · retrieval score; the weight was chosen on the validation questions, by MRR@${crossK}.`,
    'Pearson and Spearman: correlation of scores with 1 for a question and its own context and 0 for another one.',
  ];
}
