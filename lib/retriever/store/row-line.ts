import { origin, type Origin, type Row } from '../segment.js';
import { damaged } from './disk.js';

/**
 * The row that stands on one line of a file of documents.
 * @param where path:line, for messages
 * @throws FlatrankError `ERR_BAD_FILE`
 */
export function decodeRow<M>(line: Buffer, where: string): Row<M> {
  let json: unknown;
  try {
    json = JSON.parse(line.toString('utf8'));
  } catch (cause) {
    throw damaged(where, 'be JSON', 'other text', cause);
  }
  if (typeof json !== 'object' || json === null) throw damaged(where, 'be a document', 'other JSON');
  const { id, text, metadata, passage, origin: from } = json as Record<string, unknown>;
  if (typeof id !== 'string' || typeof text !== 'string' || typeof metadata !== 'object' || metadata === null)
    throw damaged(where, 'be a document', 'another object');
  return {
    id,
    text,
    metadata: metadata as M,
    ...(passage === undefined ? {} : { passage: passage as NonNullable<Row<M>['passage']> }),
    ...(from === undefined ? {} : { [origin]: from as Origin }),
  };
}
