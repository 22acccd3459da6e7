import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FlatrankError, checkString } from '../errors.js';
import type { BeirDataset, BeirDocument } from './beir.js';
import { badFile, linesOf, readSegments } from './segments.js';

/** One numbered entry of a file in SMART's format: `.I number`, then sections of lines, `.T` title, `.W` words, and so on. */
interface Entry {
  id: string;
  sections: Map<string, string[]>;
}

/**
 * Loads the Cranfield collection (Cleverdon 1967) from its files `cran.all.1400`, `cran.qry` and `cranqrel`, in BEIR's
 * form. Queries go by their position from 1, as the judgements number them; relevance is 4 for code 1 (a complete
 * answer) down to 1 for code 4, and 0 for the code −1 that its readme does not explain. A title that the text repeats is
 * taken out of the text.
 * @param directory where the files are
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` naming file and line
 */
export async function loadCranfield(directory: string): Promise<BeirDataset> {
  checkString('directory', directory);
  const corpus = new Map<string, BeirDocument>();
  for await (const entry of readEntries(await fileOf(directory, 'cran.all.1400'))) {
    const title = textOf(entry, 'T');
    const text = textOf(entry, 'W');
    corpus.set(entry.id, { title, text: text.startsWith(title) ? text.slice(title.length).trim() : text });
  }
  const queries = new Map<string, string>();
  for await (const entry of readEntries(await fileOf(directory, 'cran.qry')))
    queries.set(String(queries.size + 1), textOf(entry, 'W'));

  const qrels = new Map<string, Map<string, number>>();
  const judgements = await fileOf(directory, 'cranqrel');
  for await (const segment of readSegments(judgements))
    for (const { text, line } of linesOf(segment)) {
      if (text.trim() === '') continue;
      const match = /^(\d+)\s+(\d+)\s+(-?\d+)\s*$/.exec(text);
      if (!match) throw badFile(`${judgements}:${line}`, 'query, document and code', JSON.stringify(text.slice(0, 60)));
      const [, query, document, code] = match as unknown as [string, string, string, string];
      const documents = qrels.get(query) ?? new Map<string, number>();
      documents.set(document, Number(code) > 0 ? Math.max(0, 5 - Number(code)) : 0);
      qrels.set(query, documents);
    }
  return { corpus, queries, qrels };
}

async function* readEntries(file: string): AsyncGenerator<Entry, void, undefined> {
  let entry: Entry | undefined;
  let section: string[] | undefined;
  for await (const segment of readSegments(file))
    for (const { text, line } of linesOf(segment)) {
      const begins = /^\.I\s+(\d+)\s*$/.exec(text);
      const named = /^\.([A-Z])\s*$/.exec(text);
      if (begins) {
        if (entry) yield entry;
        entry = { id: begins[1]!, sections: new Map() };
        section = undefined;
      } else if (entry && named) {
        section = [];
        entry.sections.set(named[1]!, section);
      } else if (section) {
        section.push(text.trim());
      } else if (text.trim() !== '') {
        throw badFile(
          `${file}:${line}`,
          "an entry of SMART's format ('.I number', then '.W')",
          JSON.stringify(text.slice(0, 60)),
        );
      }
    }
  if (entry) yield entry;
}

function textOf({ sections }: Entry, name: string): string {
  return (sections.get(name) ?? []).join(' ').trim();
}

async function fileOf(directory: string, name: string): Promise<string> {
  const file = path.join(directory, name);
  const stats = await stat(file).catch(() => undefined);
  if (stats?.isFile() === true) return file;
  throw new FlatrankError('ERR_NOT_FOUND', `Expected ${directory} to have the file ${name}`);
}
