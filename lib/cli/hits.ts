import type { Hit } from '../retriever/index.js';
import { printable, wrap } from './layout.js';

const indent = 4;
const snippetLines = 2;
/** Of a long text only so much is looked at for its snippet. */
const snippetCharacters = 4000;

/** Hits for people: rank, score, id and title, then the beginning of the text, in `width` columns. */
export function renderHits(hits: readonly Hit<Record<string, unknown>>[], width: number): string {
  return hits.map((hit, i) => renderHit(hit, i + 1, Math.max(width, 20))).join('\n');
}

function renderHit({ id, text, metadata, score }: Hit<Record<string, unknown>>, rank: number, width: number): string {
  const title = [metadata['heading'], metadata['title']].find((value) => typeof value === 'string' && value !== '');
  const head = `${String(rank).padStart(indent - 2)}. ${score.toFixed(4)}  ${printable(id)}`;
  const titled = title === undefined ? head : `${head}  ${printable(title as string)}`;
  const snippet = wrap(printable(text.slice(0, snippetCharacters)), width - indent, snippetLines);
  return [titled, ...snippet.map((line) => ' '.repeat(indent) + line)].map((line) => `${line}\n`).join('');
}
