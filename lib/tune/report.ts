/** The report: put together from what the stages gave, and written in three forms. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { native } from '../native.js';
import { readLog } from '../train/log.js';
import { blendedRanks, changeOf, chooseBlend, hitRateAt, measuresOf, type Ranked, type Ranks } from './measure.js';
import { htmlReport } from './report-html.js';
import { markdownReport } from './report-markdown.js';
import type { Results, Run } from './run.js';
import { json, writeFileAtomically, type Stages } from './stages.js';
import { logPath } from './training.js';
import { tuneStages, type Correlation, type TuneReport, type TuneSystem } from './types.js';

const labels: Record<TuneSystem['name'], string> = {
  bm25: 'BM25',
  base: 'base',
  sts: 'trained on STS',
  tuned: 'fine-tuned',
  reranked: 'reranked',
  blended: 'reranked and blended',
};

/** Puts the report together. */
export function assemble({ plan, data, sts }: Run, results: Results, seconds: Stages['seconds']): TuneReport {
  const { biK, crossK } = plan;
  const { bm25, base, tuned, rerank, validation, pairs } = results;
  const count = rerank.logits.length;
  const blend = chooseBlend(tuned.validation!.ranks, validation.logits, tuned.validation!.scores, crossK);
  const rerankBy = (weight: number): number[] =>
    blendedRanks(tuned.test.ranks.slice(0, count), rerank.logits, tuned.test.scores, weight);
  const secondsReranked = tuned.test.secondsPerQuery + rerank.secondsPerQuery;

  const retrieval: readonly Measured[] = [
    { name: 'bm25', ...bm25, correlation: none },
    ...(['base', 'sts', 'tuned'] as const).flatMap((name) => {
      const evaluated = results[name];
      return evaluated ? [{ name, ...evaluated.test, correlation: evaluated.correlation }] : [];
    }),
  ];
  const reranked: readonly Measured[] = [
    { name: 'reranked', ranks: rerankBy(0), secondsPerQuery: secondsReranked, correlation: pairs },
    { name: 'blended', ranks: rerankBy(blend.weight), secondsPerQuery: secondsReranked, correlation: none },
  ];
  const first = (systems: readonly Measured[]): Measured[] =>
    systems.map((system) => ({ ...system, ranks: system.ranks.slice(0, count) }));
  const all = count === data.test.length ? retrieval : [...retrieval, ...first(retrieval)];
  const steps: readonly Ranked[] = retrieval.filter(({ name }) => name !== 'bm25');
  const changes = [
    ...steps.slice(1).map((to, i) => changeOf(steps[i]!, to, data.test, crossK)),
    ...reranked.map((to) => changeOf(steps.at(-1)!, to, data.test, crossK)),
  ];
  const trained = Object.entries(results.trained).map(
    ([name, figures]) => [name, { ...figures, seconds: seconds[name] ?? 0 }] as const,
  );
  return {
    format: 1,
    systems: [
      ...all.map((system) => systemOf(system, crossK, biK)),
      ...reranked.map((system) => systemOf(system, crossK, crossK)),
    ],
    curves: Object.fromEntries(
      first([...retrieval, ...reranked]).map(({ name, ranks }) => [name, curveOf(ranks, biK)]),
    ),
    uncutHitRate: hitRateAt(tuned.test.ranks.slice(0, count), biK),
    blend: { ...blend, questions: data.validation.length },
    sts: sts && {
      pairs: sts.dev.length,
      before: base.sts ?? none,
      after: results.sts?.sts ?? none,
      tuned: tuned.sts ?? none,
    },
    training: Object.fromEntries(trained),
    changes,
    data: {
      sha256: data.sha256,
      train: data.train.length,
      validation: data.validation.length,
      test: data.test.length,
      contexts: data.corpus.length,
      crossEncoderQuestions: data.apart.length,
      duplicates: data.duplicates,
    },
    options: { ...plan },
    fingerprints: { base: base.fingerprint, tuned: tuned.fingerprint!, crossEncoder: pairs.fingerprint },
    environment: environment(),
    seconds: Object.fromEntries(tuneStages.flatMap((stage) => (seconds[stage] ? [[stage, seconds[stage]]] : []))),
  };
}

/** A system, before it is measured. */
interface Measured extends Ranked {
  readonly secondsPerQuery: number;
  readonly correlation: Correlation;
}

const none: Correlation = { pearson: null, spearman: null };

function systemOf({ name, ranks, secondsPerQuery, correlation }: Measured, k: number, deepest: number): TuneSystem {
  const { pearson, spearman } = correlation;
  const measures = measuresOf(ranks, k, deepest);
  return { name, label: labels[name], questions: ranks.length, ...measures, pearson, spearman, secondsPerQuery };
}

function curveOf(ranks: Ranks, biK: number): number[] {
  return Array.from({ length: biK }, (_, i) => hitRateAt(ranks, i + 1));
}

function environment(): TuneReport['environment'] {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return {
    flatrank: version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    instructions: native().isa,
  };
}

/** Writes report.json, report.md and report.html into the run's directory. */
export async function writeReports(report: TuneReport, stages: Stages): Promise<void> {
  const logs = await Promise.all(
    Object.keys(report.training).map(async (name) => ({ name, log: await readLog(logPath(stages, name)) })),
  );
  await writeFileAtomically(stages.path('report.json'), json(report));
  await writeFileAtomically(stages.path('report.md'), markdownReport(report));
  await writeFileAtomically(stages.path('report.html'), await htmlReport(report, logs));
}
