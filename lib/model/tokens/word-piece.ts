import { z } from 'zod';
import { idsByToken, unknownId, type Tokenize } from './vocabulary.js';

export const wordPieceConfig = z.looseObject({
  type: z.literal('WordPiece'),
  vocab: z.unknown(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().default('##'),
  max_input_chars_per_word: z.number().int().nonnegative().default(100),
});

/**
 * WordPiece (Wu et al. 2016, https://arxiv.org/abs/1609.08144): from the left, the longest token that fits; a word of which
 * some part has none is unknown as a whole.
 */
export function wordPiece(config: z.output<typeof wordPieceConfig>): { ids: Map<string, number>; tokenize: Tokenize } {
  const ids = idsByToken(config.vocab);
  const unknown = unknownId(ids, config.unk_token);
  if (unknown === undefined) throw new Error('it has no unknown token');
  const prefix = config.continuing_subword_prefix;
  /** Tokens that go on with a word, without their prefix. */
  const inside = new Map<string, number>();
  let longest = 0;
  for (const [token, id] of ids) {
    longest = Math.max(longest, token.length);
    if (token.startsWith(prefix)) inside.set(token.slice(prefix.length), id);
  }
  const tokenize = (word: string): number[] => {
    if (isLonger(word, config.max_input_chars_per_word)) return [unknown];
    const found: number[] = [];
    for (let start = 0; start < word.length;) {
      const among = start === 0 ? ids : inside;
      let end = Math.min(word.length, start + longest);
      let id: number | undefined;
      while (end > start && (id = among.get(word.slice(start, end))) === undefined) end--;
      if (id === undefined) return [unknown];
      found.push(id);
      start = end;
    }
    return found;
  };
  return { ids, tokenize };
}

/** Whether a word has more than `count` characters (code points). */
function isLonger(word: string, count: number): boolean {
  if (word.length <= count) return false;
  return word.length > 2 * count || Array.from(word).length > count;
}
