/** A stretch of running text that belongs together: a paragraph, a heading line, or a block of code. */
export interface TextBlock {
  /** Its text, without blank lines before and after. */
  text: string;
  /** The line it begins on, from 1. */
  line: number;
  kind: 'paragraph' | 'heading' | 'code';
  /** The headings it stands under, outermost first; a heading is under itself. */
  headings: readonly string[];
}

/** Collects lines until a block ends. */
export class BlockBuilder {
  #lines: string[] = [];
  #line = 0;

  get empty(): boolean {
    return this.#lines.length === 0;
  }

  /** How many lines there are. */
  get length(): number {
    return this.#lines.length;
  }

  push(text: string, line: number): void {
    if (this.empty) this.#line = line;
    this.#lines.push(text);
  }

  /** The block collected so far, if it has any text, and starts anew. */
  *take(kind: TextBlock['kind'], headings: readonly string[]): Generator<TextBlock, void, undefined> {
    const text = this.#lines.join('\n').trimEnd();
    this.#lines = [];
    if (text !== '') yield { text, line: this.#line, kind, headings };
  }
}
