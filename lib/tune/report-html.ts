/** The report as one HTML file: no script, no picture or style from elsewhere. */
import type { LogLine } from '../train/log.js';
import { hitRatePlot, lossPlot } from './plots.js';
import {
  blendTable,
  changesTable,
  notes,
  repeatTable,
  secondsTable,
  stsTable,
  systemsTable,
  trainingTable,
  type Table,
} from './report-tables.js';
import type { ChangedQuestion, TuneChange, TuneReport } from './types.js';

const style = `
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 62rem; padding: 1.25rem 1rem 3rem; background: #fff; color: #1d2430;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans KR", "Noto Sans CJK KR", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; border-top: 1px solid #e3e7ee; padding-top: 1.25rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; color: #414b5c; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .75rem .35rem 0; text-align: right; vertical-align: top; border-bottom: 1px solid #e9edf3; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 7.5rem; }
th { font-weight: 600; color: #414b5c; }
tr.best td { background: #f0f6ff; }
table.values td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
table.values th { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
figure { margin: 0; }
figcaption { font-size: .9rem; color: #414b5c; }
svg { max-width: 100%; height: auto; }
li { margin: .4rem 0; }
.rank { font-weight: 600; white-space: nowrap; }
.context { color: #6a7485; font-size: .88rem; overflow-wrap: anywhere; }
details summary { cursor: pointer; }
@media (max-width: 34rem) { table { font-size: .82rem; } th, td { padding-right: .55rem; } th:first-child, td:first-child { min-width: 5.5rem; } }
`;

/** The text of `report.html`. @param logs the logs of the trainings, by their names */
export async function htmlReport(
  report: TuneReport,
  logs: readonly { readonly name: string; readonly log: readonly LogLine[] }[],
): Promise<string> {
  const plots = [
    figure(await hitRatePlot(report), `Hit rate against k, over the questions that were reranked`),
    ...(await Promise.all(
      logs
        .filter(({ log }) => log.some(({ loss }) => loss !== undefined))
        .map(async ({ name, log }) => figure(await lossPlot(log), `Loss of the training: ${name}`)),
    )),
  ];
  const sts = stsTable(report);
  const best = report.systems.reduce((most, { mrr }) => Math.max(most, mrr), 0);
  const body = [
    '<h1>What tuning bought</h1>',
    table(systemsTable(report), { best: (i) => report.systems[i]!.mrr === best }),
    ...notes(report).map((note) => `<p>${escape(note)}</p>`),
    `<div class="plots">${plots.join('')}</div>`,
    ...(sts ? ['<h2>Similarity</h2>', table(sts)] : []),
    '<h2>Won and lost</h2>',
    table(changesTable(report)),
    ...report.changes.map((change) => changed(change, report)),
    '<h2>Weights of the blend</h2>',
    table(blendTable(report), { best: (i) => report.blend.tried[i]!.weight === report.blend.weight }),
    '<h2>Training</h2>',
    table(trainingTable(report)),
    '<h2>Times</h2>',
    table(secondsTable(report)),
    '<h2>To repeat it</h2>',
    table(repeatTable(report), { className: 'values' }),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What tuning bought</title>
<style>${style}</style>
</head>
<body>
${body.join('\n')}
</body>
</html>
`;
}

function table(
  { columns, rows }: Table,
  { best, className }: { best?: (row: number) => boolean; className?: string } = {},
): string {
  const head = columns.map((name) => `<th>${escape(name)}</th>`).join('');
  const lines = rows.map((row, i) => {
    const cells = row.map((cell) => `<td>${escape(cell)}</td>`).join('');
    return `<tr${best?.(i) ? ' class="best"' : ''}>${cells}</tr>`;
  });
  const attribute = className === undefined ? '' : ` class="${className}"`;
  return `<div class="wide"><table${attribute}><thead><tr>${head}</tr></thead><tbody>${lines.join('\n')}</tbody></table></div>`;
}

function figure(svg: string, caption: string): string {
  return `<figure>${svg}<figcaption>${escape(caption)}</figcaption></figure>`;
}

/** Questions that one step won, and those that it lost. */
function changed({ from, to, won, lost }: TuneChange, { systems, options }: TuneReport): string {
  if (won.length + lost.length === 0) return '';
  const labelOf = (name: string): string => systems.find((system) => system.name === name)!.label;
  const list = (title: string, questions: readonly ChangedQuestion[]): string =>
    questions.length === 0 ? '' : `<h3>${title}</h3><ul>${questions.map(item).join('')}</ul>`;
  const k = String(options['crossK']);
  const item = ({ question, context, from: before, to: after }: ChangedQuestion): string =>
    `<li>${escape(question)} <span class="rank">${rank(before, k)} → ${rank(after, k)}</span><br>` +
    `<span class="context">${escape(context)}</span></li>`;
  const title = `${labelOf(from)} → ${labelOf(to)}: some of the questions`;
  return `<details><summary>${escape(title)}</summary>${list('Won', won)}${list('Lost', lost)}</details>`;
}

const rank = (value: number | null, k: string): string => (value === null ? `not in ${k}` : `rank ${value}`);

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
