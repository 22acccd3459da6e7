import { BlockBuilder, type TextBlock } from './blocks.js';
import { linesOf, readSegments } from './segments.js';

const atxHeading = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const closingHashes = /(?:^|[ \t]+)#+[ \t]*$/;
const setextUnderline = /^ {0,3}(=+|-+)[ \t]*$/;
// Any indentation: fences inside lists stand further in than the three spaces of a fence of their own.
const openingFence = /^[ \t]*(`{3,}(?=[^`]*$)|~{3,})/;

/**
 * Reads Markdown as blocks, each with the headings it stands under: heading lines (`#`, or underlined with `=` or
 * `-`), fenced code (whole, with its fences; a `#` in it is no heading) and paragraphs, which here are all other runs
 * of lines: lists, tables, quotes. Front matter between `---` lines is a block of code. The structure is CommonMark's;
 * what stands inside a block is left as it is. A path that ends in `.gz` is gunzipped.
 * @throws FlatrankError `ERR_NOT_FOUND`, `ERR_BAD_FILE`
 */
export async function* readMarkdown(path: string): AsyncGenerator<TextBlock, void, undefined> {
  const scanner = new MarkdownScanner();
  for await (const segment of readSegments(path))
    for (const { text, line } of linesOf(segment)) yield* scanner.scan(text, line);
  yield* scanner.end();
}

class MarkdownScanner {
  readonly #block = new BlockBuilder();
  /** Heading texts by level (1 to 6); undefined where a level was skipped. */
  #headings: (string | undefined)[] = [];
  /** What ends the code block that is open. */
  #closing: RegExp | undefined;

  *scan(text: string, line: number): Generator<TextBlock, void, undefined> {
    if (this.#closing) {
      this.#block.push(text, line);
      if (this.#closing.test(text)) yield* this.#takeCode();
      return;
    }
    const fence = openingFence.exec(text)?.[1];
    const frontMatter = line === 1 && /^---[ \t]*$/.test(text);
    if (fence !== undefined || frontMatter) {
      yield* this.#takeParagraph();
      this.#block.push(text, line);
      this.#closing = fence === undefined ? /^(?:---|\.\.\.)[ \t]*$/ : closingFence(fence);
      return;
    }
    const atx = atxHeading.exec(text);
    if (atx) {
      yield* this.#takeParagraph();
      this.#block.push(text, line);
      yield* this.#takeHeading(atx[1]!.length, (atx[2] ?? '').replace(closingHashes, '').trim());
      return;
    }
    const underline = setextUnderline.exec(text)?.[1];
    if (underline !== undefined && this.#block.length === 1 && this.#mayBeHeading) {
      const title = this.#title;
      this.#block.push(text, line);
      yield* this.#takeHeading(underline.startsWith('=') ? 1 : 2, title);
      return;
    }
    if (text.trim() === '') yield* this.#takeParagraph();
    else {
      this.#title = text.trim();
      this.#block.push(text, line);
    }
  }

  *end(): Generator<TextBlock, void, undefined> {
    if (this.#closing) yield* this.#takeCode();
    else yield* this.#takeParagraph();
  }

  #title = '';

  /** A line of a list, a table or a quote with a rule below it is no heading. */
  get #mayBeHeading(): boolean {
    return !/^(?:[-*+>|]|\d+[.)])/.test(this.#title);
  }

  get #path(): readonly string[] {
    return this.#headings.filter((heading) => heading !== undefined && heading !== '') as string[];
  }

  *#takeParagraph(): Generator<TextBlock, void, undefined> {
    yield* this.#block.take('paragraph', this.#path);
  }

  *#takeCode(): Generator<TextBlock, void, undefined> {
    this.#closing = undefined;
    yield* this.#block.take('code', this.#path);
  }

  *#takeHeading(level: number, title: string): Generator<TextBlock, void, undefined> {
    this.#headings = this.#headings.slice(0, level);
    this.#headings[level] = title;
    yield* this.#block.take('heading', this.#path);
  }
}

function closingFence(opening: string): RegExp {
  return new RegExp(`^[ \\t]*${opening.charAt(0)}{${opening.length},}[ \\t]*$`);
}
