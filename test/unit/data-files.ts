/** Files for the tests of readers, in a folder that goes when the tests end. */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FlatrankError } from 'flatrank';
import { afterAll } from 'vitest';

export const folder = mkdtempSync(join(tmpdir(), 'flatrank-data-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Writes a file of the folder and gives its path. */
export function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Everything that a reader gives. */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

/** The error that reading ends with: code and message, with the path of the file as `FILE`. */
export async function failure(source: AsyncIterable<unknown> | Promise<unknown>, path: string): Promise<string> {
  const error: unknown = await (source instanceof Promise ? source : all(source)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof FlatrankError)) throw new Error(`no FlatrankError: ${String(error)}`);
  return `${error.code} ${error.message.replaceAll(path, 'FILE')}`;
}
