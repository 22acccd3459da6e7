import { InvalidArgumentError, Option } from 'commander';
import { boxModel } from '../model/resolve.js';

/** Options of every command that reads files with a model. */
export interface InputOptions {
  /** The one that comes with flatrank unless given. */
  model?: string;
  text: string;
  id: string;
  verbose?: boolean;
}

/** The model; the environment may name it too. */
export function modelOption(): Option {
  const help = 'bi-encoder: a directory or a name on the Hub; a small one for Korean and English comes with flatrank';
  return new Option('-m, --model <dir>', help).env('FLATRANK_MODEL');
}

/** The cross-encoder that orders candidates anew. */
export function rerankOption(): Option {
  const help = `cross-encoder that orders the best candidates anew: a directory, a name on the Hub, or ${boxModel}, which comes with flatrank`;
  return new Option('-r, --rerank <dir>', help);
}

/** Says that a cross-encoder is meant, where a name stands for two models. */
export function crossEncoderOption(): Option {
  return new Option('--cross-encoder', `the cross-encoder of that name: ${boxModel} names a bi-encoder too`);
}

/** Options that say how files are read. */
export function inputOptions(): Option[] {
  return [
    new Option('--text <field>', 'field of JSON lines and tables that is the text').default('text'),
    new Option('--id <field>', 'field that is the id; path:line where it is missing').default('id'),
  ];
}

/** `--verbose`. */
export function verboseOption(): Option {
  return new Option('-v, --verbose', 'print times and counts on stderr');
}

/** Parses an option's value as a positive integer. */
export function parseCount(value: string): number {
  const count = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  if (count < 1) throw new InvalidArgumentError('Expected a positive integer.');
  return count;
}

/** Parses an option's value as JSON. */
export function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    throw new InvalidArgumentError('Expected JSON.');
  }
}

/** Parses an option's value as a finite number. */
export function parseFinite(value: string): number {
  const number = value.trim() === '' ? NaN : Number(value);
  if (!Number.isFinite(number)) throw new InvalidArgumentError('Expected a number.');
  return number;
}

/** What is said of files in the help of every command. */
export const filesHelp = `
Files, by their ending (each may be gzipped: .gz):
  .jsonl .ndjson   one JSON object a line      .txt             plain text
  .csv .tsv        a table with a header row   .md .markdown    Markdown
Text and Markdown are split at headings and paragraphs into pieces that fit the model, with ids path:line.`;

/** What is said of exit codes in the help of every command. */
export const exitCodesHelp = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (129 by SIGHUP, 143 by SIGTERM).`;

/** Parses an option's value as names with commas between them. */
export function parseNames(value: string): string[] {
  const names = value.split(',').map((name) => name.trim());
  if (names.every((name) => name === '')) throw new InvalidArgumentError('Expected names with commas between them.');
  return names;
}

/** Parses an option's value as a number above 0. */
export function parsePositive(value: string): number {
  const number = parseFinite(value);
  if (number <= 0) throw new InvalidArgumentError('Expected a number above 0.');
  return number;
}

/** Parses an option's value as 0 or a positive integer. */
export function parseWhole(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('Expected 0 or a positive integer.');
  return Number(value);
}
