import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { FlatrankError } from '../errors.js';

/**
 * The JSON file at `path`, checked against `schema`; unknown keys are kept.
 * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be read, `ERR_BAD_FILE` where it is not JSON or of another form
 */
export async function readJson<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new FlatrankError(
      'ERR_NOT_FOUND',
      `Expected a file ${path} but it cannot be read: ${(error as Error).message}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text);
  } catch (error) {
    throw new FlatrankError('ERR_BAD_FILE', `Expected ${path} to be JSON but it is not: ${(error as Error).message}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new FlatrankError('ERR_BAD_FILE', `Expected ${path} to describe a model: ${z.prettifyError(result.error)}`);
}

/** As {@link readJson}, but undefined where there is no such file. */
export async function readJsonIfAny<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S> | undefined> {
  return (await isFile(path)) ? readJson(path, schema) : undefined;
}

/** Whether there is a file at `path`. */
export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** Whether there is a directory at `path`. */
export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
