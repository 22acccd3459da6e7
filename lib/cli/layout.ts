/** Text for a terminal: its width in columns, cut and wrapped, and nothing in it that a terminal would obey. */

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** `text` on one line, without control and format characters: documents are not trusted with the terminal. */
export function printable(text: string): string {
  return text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .replace(/\p{Cf}/gu, '')
    .trim();
}

/** How many columns `text` takes: two for East Asian wide characters and emoji, none for combining marks. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) columns += columnsOfGrapheme(segment);
  return columns;
}

/**
 * Wraps printable text at blank space into at most `maxLines` lines of `width` columns; what does not fit is left out
 * and marked with an ellipsis.
 */
export function wrap(text: string, width: number, maxLines: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((whole) => chop(whole, width))) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (columnsOf(longer) <= width) {
      line = longer;
      continue;
    }
    lines.push(line);
    line = word;
    if (lines.length === maxLines) return [...lines.slice(0, -1), withEllipsis(lines.at(-1)!, width)];
  }
  return line === '' ? lines : [...lines, line];
}

function withEllipsis(line: string, width: number): string {
  return `${chop(line, width - 1)[0] ?? ''}…`;
}

/** A word in parts of at most `width` columns. */
function chop(word: string, width: number): string[] {
  if (columnsOf(word) <= width) return [word];
  const parts: string[] = [];
  let part = '';
  let columns = 0;
  for (const { segment } of graphemes.segment(word)) {
    const more = columnsOfGrapheme(segment);
    if (part !== '' && columns + more > width) {
      parts.push(part);
      part = '';
      columns = 0;
    }
    part += segment;
    columns += more;
  }
  return [...parts, part];
}

function columnsOfGrapheme(grapheme: string): number {
  if (/^\p{Mn}/u.test(grapheme)) return 0;
  return isWide(grapheme.codePointAt(0)!) ? 2 : 1;
}

/** Ranges of Unicode's East_Asian_Width W and F, with the gaps between neighbouring blocks closed. */
const wideRanges = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
] as const;

function isWide(codePoint: number): boolean {
  return wideRanges.some(([first, last]) => codePoint >= first && codePoint <= last);
}
