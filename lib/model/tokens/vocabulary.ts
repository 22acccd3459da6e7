/** A vocabulary as tokenizer.json holds it, checked. */

/** Finds the tokens of one word. */
export type Tokenize = (word: string) => readonly number[];

const isId = (id: unknown): id is number => Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 31;

/** Ids by token. @throws Error where `value` is not an object of ids */
export function idsByToken(value: unknown): Map<string, number> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it has no vocabulary');
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(value)) {
    if (!isId(id)) throw new Error(`its vocabulary has the id ${JSON.stringify(id)}`);
    ids.set(token, id);
  }
  return ids;
}

/** The id of the token for unknown words. @throws Error where it is not in the vocabulary */
export function unknownId(ids: ReadonlyMap<string, number>, token: string | null | undefined): number | undefined {
  if (token == null) return undefined;
  const id = ids.get(token);
  if (id === undefined) throw new Error(`its unknown token '${token}' is not in its vocabulary`);
  return id;
}

/** The ids of a character's UTF-8 bytes as tokens `<0x00>` to `<0xFF>`; undefined where one is missing. */
export function byteIds(ids: ReadonlyMap<string, number>, text: string): number[] | undefined {
  const found: number[] = [];
  for (const byte of Buffer.from(text)) {
    const id = ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    if (id === undefined) return undefined;
    found.push(id);
  }
  return found;
}
