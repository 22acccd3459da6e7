/** The report as Markdown. */
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
import type { TuneReport } from './types.js';

/** The text of `report.md`. */
export function markdownReport(report: TuneReport): string {
  const sts = stsTable(report);
  const sections: (readonly [string, ...string[]])[] = [
    ['# What tuning bought', markdownTable(systemsTable(report)), ...notes(report)],
    ...(sts ? [['## Similarity', markdownTable(sts)] as const] : []),
    ['## Won and lost', markdownTable(changesTable(report))],
    ['## Weights of the blend', markdownTable(blendTable(report))],
    ['## Training', markdownTable(trainingTable(report))],
    ['## Times', markdownTable(secondsTable(report))],
    ['## To repeat it', markdownTable(repeatTable(report))],
  ];
  return `${sections.flat().join('\n\n')}\n`;
}

/** A table, its columns padded to one width. */
export function markdownTable({ columns, rows }: Table): string {
  const cells = [columns, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|').replace(/\s+/g, ' ')));
  const widths = columns.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const [head, ...body] = cells;
  return [line(head!), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
