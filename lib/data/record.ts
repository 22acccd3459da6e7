/** One record of a file of records: a JSON object, or a row of a table under its header. */
export interface FileRecord {
  /** The line it begins on, from 1. */
  line: number;
  /** Its fields by name. */
  fields: Record<string, unknown>;
}
