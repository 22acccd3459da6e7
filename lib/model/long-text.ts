/**
 * Cutting of long texts into pieces that tokenize like the whole, so that the tokens of a text of a megabyte need not
 * all be found where a few hundred are kept.
 */

/** Texts up to this length (in UTF-16 units) stay whole. */
const pieceLength = 4_096;

/** How far a piece may grow in search of a place to cut. */
const longestPiece = 65_536;

const wordEnd = /[\p{L}\p{N}]/u;

/**
 * The pieces of `text`. A cut lies before a single space between two letters or digits: no pre-tokenizer joins across
 * it, and a piece that begins with its space is tokenized as it would be after the piece before. A run without such
 * a place stays whole where `unbroken` says so, and is cut anyway after 65,536 units where not.
 */
export function* pieces(text: string, unbroken: boolean): Generator<string> {
  let from = 0;
  while (text.length - from > pieceLength) {
    const cut = findCut(text, from + pieceLength, unbroken ? text.length : from + longestPiece);
    if (cut >= text.length) break;
    yield text.slice(from, cut);
    from = cut;
  }
  yield text.slice(from);
}

/** The first place to cut from `start` on, at most `limit`. */
function findCut(text: string, start: number, limit: number): number {
  for (let at = text.indexOf(' ', start); at >= 0 && at < limit; at = text.indexOf(' ', at + 1))
    if (wordEnd.test(text[at - 1]!) && wordEnd.test(text[at + 1] ?? '')) return at;
  // Not between the halves of a surrogate pair.
  const isLow = (text.charCodeAt(limit) & 0xfc00) === 0xdc00;
  return isLow ? limit - 1 : limit;
}
