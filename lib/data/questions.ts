import { describe } from '../errors.js';
import { isJsonArray, readJsonArray } from './json-array.js';
import { isObject, numberField, stringField, type FileRecord } from './record.js';
import { endingOf, readRecords } from './records.js';
import { badFile } from './segments.js';
import { datasetFiles, type DatasetOptions } from './source.js';

/** A question and the paragraph it was asked about. */
export interface QuestionRow {
  id: string;
  title: string;
  question: string;
  context: string;
  /** The answers in the context; none where the question has none there. */
  answers: Answer[];
}

/** A stretch of a context. */
export interface Answer {
  text: string;
  /** Where it begins in the context, in Unicode characters from 0. */
  answerStart: number;
}

type Fields = FileRecord['fields'];

/**
 * Loads KLUE-MRC (Park et al. 2021, https://arxiv.org/abs/2105.09680): the benchmark's JSON or the Hub's Parquet
 * (`'klue'`). Questions without an answer are kept.
 * @param source a file, a directory or a Hub dataset's id
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_UNSUPPORTED`, `ERR_BAD_FILE` naming file, line and column
 */
export function loadKlueMrc(source: string, options: DatasetOptions = {}): Promise<QuestionRow[]> {
  return loadQuestions(source, 'mrc', options);
}

/**
 * Loads KorQuAD 1.0 (Lim et al. 2019, https://arxiv.org/abs/1909.07005), SQuAD 1.1 and 2.0, XQuAD, and any dataset of
 * their shape, as JSON or as the Hub's Parquet.
 * @param source a file, a directory or a Hub dataset's id
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_UNSUPPORTED`, `ERR_BAD_FILE` naming file, line and column
 */
export function loadKorQuad(source: string, options: DatasetOptions = {}): Promise<QuestionRow[]> {
  return loadQuestions(source, undefined, options);
}

async function loadQuestions(
  source: string,
  part: string | undefined,
  options: DatasetOptions,
): Promise<QuestionRow[]> {
  const rows: QuestionRow[] = [];
  for (const file of await datasetFiles(source, part, options)) {
    // SQuAD's JSON is an object whose articles hold paragraphs, and they their questions; in all else a record is one question.
    const nested = endingOf(file) === '.json' && !(await isJsonArray(file));
    for await (const { line, fields } of nested ? readJsonArray(file, { at: 'data' }) : readRecords(file)) {
      options.signal?.throwIfAborted();
      const where = `${file}:${line}`;
      if (nested) rows.push(...questionsOf(where, fields));
      else rows.push(questionOf(where, fields, stringField(where, fields, 'context'), fields));
    }
  }
  return rows;
}

function* questionsOf(where: string, article: Fields): Generator<QuestionRow, void, undefined> {
  for (const paragraph of listOf(where, article, 'paragraphs')) {
    const context = stringField(where, paragraph, 'context');
    for (const question of listOf(where, paragraph, 'qas')) yield questionOf(where, question, context, article);
  }
}

function questionOf(where: string, fields: Fields, context: string, titled: Fields): QuestionRow {
  const id = ['id', 'guid'].map((name) => fields[name]).find((value) => typeof value === 'string' && value !== '');
  return {
    id: (id as string | undefined) ?? where,
    title: typeof titled['title'] === 'string' ? titled['title'] : '',
    question: stringField(where, fields, 'question'),
    context,
    answers: answersOf(where, fields),
  };
}

/** Answers as the JSON files have them (a list of objects), or as Parquet (an object of lists). */
function answersOf(where: string, fields: Fields): Answer[] {
  const { answers } = fields;
  if (answers === undefined || answers === null) return [];
  if (!isObject(answers))
    return listOf(where, fields, 'answers').map((answer) => ({
      text: stringField(where, answer, 'text'),
      answerStart: numberField(where, answer, 'answer_start'),
    }));
  const { text, answer_start: starts } = answers;
  if (!Array.isArray(text) || !Array.isArray(starts) || text.length !== starts.length)
    throw badFile(where, 'a record with as many "text" as "answer_start" in "answers"', describe(text));
  return text.map((_, i) => {
    const answer = { text: text[i] as unknown, answer_start: starts[i] as unknown };
    return { text: stringField(where, answer, 'text'), answerStart: numberField(where, answer, 'answer_start') };
  });
}

function listOf(where: string, fields: Fields, name: string): Fields[] {
  const list = fields[name];
  if (Array.isArray(list) && list.every(isObject)) return list;
  throw badFile(where, `a record with an array of objects in ${describe(name)}`, describe(list));
}
