import { constants } from 'node:buffer';
import { checkObject, checkString, describe } from '../errors.js';
import { parseObject, type FileRecord } from './record.js';
import { badFile, countLineFeeds, readSegments } from './segments.js';

/** Where the array of {@link readJsonArray} stands. */
export interface JsonArrayOptions {
  /** The key of an outermost object whose value the array is; unless given, the file is the array itself. */
  at?: string;
}

/**
 * Reads the objects of a JSON array, one after another, holding one at a time. UTF-8 with or without a byte order mark,
 * any layout. A path that ends in `.gz` is gunzipped.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE` naming file and line, also where there is no such array
 */
export async function* readJsonArray(
  path: string,
  options: JsonArrayOptions = {},
): AsyncGenerator<FileRecord, void, undefined> {
  const at = checkObject('options', options).at === undefined ? undefined : checkString('at', options.at);
  const scanner = new ArrayScanner(path, at);
  for await (const segment of readSegments(path))
    for (const { text, line } of scanner.push(segment.text, segment.line))
      yield { line, fields: parseObject(text, `${path}:${line}`) };
  scanner.end();
}

/** Whether the JSON in a file is an array. */
export async function isJsonArray(path: string): Promise<boolean> {
  for await (const { text } of readSegments(path)) {
    const begin = text.trimStart();
    if (begin !== '') return begin.startsWith('[');
  }
  return false;
}

interface Element {
  text: string;
  line: number;
}

const mark = /["{}[\],:]/g;
const endOfString = /["\\]/g;

/**
 * Cuts the elements of the array out of the text around them, by brackets, commas and strings; what is in an element is
 * left to JSON.parse.
 */
class ArrayScanner {
  readonly #path: string;
  readonly #at: string | undefined;
  /** How deep the elements lie: in one bracket, or in two. */
  readonly #level: number;
  /** Brackets that are open. */
  #depth = 0;
  #inString = false;
  #state: 'before' | 'inside' | 'behind' = 'before';
  #elements = 0;
  /** The key that was read last in the outermost object. */
  #key = '';
  /** Where in the text at hand an element or key begins, while one is taken, and what of it came before. */
  #from: number | undefined;
  #carried = '';
  #fromLine = 1;

  constructor(path: string, at: string | undefined) {
    this.#path = path;
    this.#at = at;
    this.#level = at === undefined ? 1 : 2;
  }

  /** The elements that end in `text`, a stretch of the file that begins on `line`. */
  *push(text: string, line: number): Generator<Element, void, undefined> {
    let counted = 0;
    for (let position = 0; ;) {
      if (this.#inString) position = this.#skipString(text, position);
      mark.lastIndex = position;
      const match = this.#inString ? null : mark.exec(text);
      const index = match?.index ?? text.length;
      if (this.#depth === 0 && (match?.[0] === '"' || text.slice(position, index).trim() !== ''))
        throw this.#unexpected(line, describe(text.slice(position, index + 1).trim()));
      if (!match) break;
      position = index + 1;
      const [found] = match;
      if (found === '"') {
        this.#inString = true;
      } else if (this.#depth > this.#level && found !== ']' && found !== '}') {
        if (found === '[' || found === '{') this.#depth++; // inside an element
      } else {
        line += countLineFeeds(text.slice(counted, index));
        counted = index;
        const element = this.#handle(found, text, index, line);
        if (element) yield element;
      }
    }
    if (this.#from === undefined) return;
    this.#carried += text.slice(this.#from);
    this.#from = 0;
    if (this.#carried.length > constants.MAX_STRING_LENGTH / 2)
      throw badFile(`${this.#path}:${this.#fromLine}`, 'an element that fits in memory', 'a longer one');
  }

  /** To be called behind the last text. */
  end(): void {
    if (this.#depth > 0 || this.#inString) throw badFile(this.#path, 'a whole JSON file', 'one that ends early');
    if (this.#state !== 'behind') throw badFile(this.#path, this.#expectation, 'one without');
  }

  get #expectation(): string {
    return this.#at === undefined ? 'a JSON array of objects' : `a JSON object with an array at ${describe(this.#at)}`;
  }

  /** One of { } [ ] , : that is not inside an element. */
  #handle(found: string, text: string, index: number, line: number): Element | undefined {
    if (found === '[' || found === '{') {
      this.#depth++;
      this.#open(found, index, line);
    } else if (this.#depth === 0) {
      throw this.#unexpected(line, describe(found));
    } else if (found === ':') {
      if (this.#state !== 'inside' && this.#from !== undefined) this.#key = this.#finish(text, index).text;
    } else {
      const here = this.#state === 'inside' && this.#depth === this.#level;
      const element = here ? this.#finish(text, index) : undefined;
      if (found === ',') {
        if (here || (this.#depth === 1 && this.#at !== undefined)) this.#begin(index, line);
        return this.#checked(element, false);
      }
      this.#depth--;
      if (!here) return undefined;
      if (found !== ']') throw this.#unexpected(line, describe(found));
      this.#state = 'behind';
      return this.#checked(element, this.#elements === 0);
    }
    return undefined;
  }

  #open(found: string, index: number, line: number): void {
    if (this.#depth === 1) {
      if (this.#state !== 'before' || found !== (this.#at === undefined ? '[' : '{'))
        throw this.#unexpected(line, found === '[' ? 'an array' : 'an object');
      if (this.#at === undefined) this.#state = 'inside';
      this.#begin(index, line); // the first element, or the first key
    } else if (this.#state === 'before' && this.#depth === 2 && this.#key === JSON.stringify(this.#at)) {
      if (found !== '[') throw this.#unexpected(line, 'an object there');
      this.#state = 'inside';
      this.#begin(index, line);
    }
  }

  /** An element as it is; nothing is one only where the array has no others. */
  #checked(element: Element | undefined, mayBeEmpty: boolean): Element | undefined {
    if (!element || (mayBeEmpty && element.text === '')) return undefined;
    this.#elements++;
    return element;
  }

  #begin(index: number, line: number): void {
    this.#from = index + 1;
    this.#fromLine = line;
    this.#carried = '';
  }

  #finish(text: string, index: number): Element {
    const taken = this.#carried + text.slice(this.#from, index);
    const blank = taken.slice(0, taken.length - taken.trimStart().length);
    this.#from = undefined;
    return { text: taken.trim(), line: this.#fromLine + countLineFeeds(blank) };
  }

  /** @returns the position behind the string's end, or the end of `text` while it goes on */
  #skipString(text: string, start: number): number {
    endOfString.lastIndex = start;
    for (let match = endOfString.exec(text); match; match = endOfString.exec(text)) {
      if (match[0] === '"') {
        this.#inString = false;
        return match.index + 1;
      }
      endOfString.lastIndex = match.index + 2;
    }
    return text.length;
  }

  #unexpected(line: number, received: string): Error {
    const place = this.#state === 'behind' && this.#depth === 0 ? ' behind its end' : '';
    return badFile(`${this.#path}:${line}`, this.#expectation, received + place);
  }
}
