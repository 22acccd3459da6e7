/** What a run keeps of the stages that are done, so that the next run goes on behind them. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FlatrankError } from '../errors.js';
import { StoreLock } from '../retriever/store/lock.js';

/** Everything that decides what happens: a run that was begun with something else is not gone on with. */
export type RunIdentity = Readonly<Record<string, unknown>>;

const runName = 'run.json';

/** A directory of stages. One process writes to it at a time; a stage's result is there whole, or not at all. */
export class Stages {
  readonly directory: string;
  readonly #lock: StoreLock;
  readonly #seconds: Record<string, number>;

  private constructor(directory: string, lock: StoreLock, seconds: Record<string, number>) {
    this.directory = directory;
    this.#lock = lock;
    this.#seconds = seconds;
  }

  /**
   * Begins a run in `directory`, or goes on with the one there.
   * @throws FlatrankError `ERR_LOCKED`; `ERR_INVALID_ARGUMENT` that names what is not as in the run that was begun there;
   *   `ERR_NOT_FOUND` where it cannot be written
   */
  static async open(directory: string, identity: RunIdentity): Promise<Stages> {
    await mkdir(join(directory, 'stages'), { recursive: true }).catch((cause: unknown) => {
      throw notWritable(directory, cause);
    });
    const lock = await StoreLock.take(directory);
    try {
      const begun = await readJson<Record<string, unknown>>(join(directory, runName));
      if (begun === undefined) await writeFileAtomically(join(directory, runName), json(identity));
      else checkSame(directory, begun, identity);
      const seconds = await readJson<Record<string, number>>(join(directory, 'stages', 'seconds.json'));
      return new Stages(directory, lock, seconds ?? {});
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Seconds spent so far, by stage, those of interrupted runs included. */
  get seconds(): Readonly<Record<string, number>> {
    return this.#seconds;
  }

  /** A path in the run's directory. */
  path(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  /** The result of a stage: the one that is there, or else what `make` gives, which is then kept. */
  async once<T>(stage: string, make: () => Promise<T>): Promise<T> {
    const path = this.path('stages', `${stage}.json`);
    const done = await readJson<{ result: T }>(path);
    if (done) return done.result;
    const started = performance.now();
    try {
      const result = await make();
      await writeFileAtomically(path, JSON.stringify({ result }));
      // As the next run reads it, so that both see the same.
      return (JSON.parse(JSON.stringify({ result })) as { result: T }).result;
    } finally {
      this.#seconds[stage] = (this.#seconds[stage] ?? 0) + (performance.now() - started) / 1000;
      await writeFileAtomically(this.path('stages', 'seconds.json'), json(this.#seconds));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock.release();
  }
}

/** Lines of JSON that a stage has written so far; one that was half written is cut off. */
export async function readLines<T>(path: string): Promise<T[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole !== text) await writeFileAtomically(path, whole);
  return whole
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as T);
}

/** Writes a file under another name, brings it to the disk, and then gives it its own. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw notWritable(path, cause);
  }
}

/** sha256 of texts and numbers, each with its length, in hexadecimal. */
export function checksum(parts: Iterable<string>): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
}

/** A value as the text of a JSON file. */
export const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

async function readJson<T>(path: string): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new FlatrankError('ERR_NOT_FOUND', `Expected ${path} to be readable but: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new FlatrankError('ERR_BAD_FILE', `Expected ${path} to hold JSON but: ${(error as Error).message}`);
  }
}

function checkSame(directory: string, begun: RunIdentity, asked: RunIdentity): void {
  for (const key of new Set([...Object.keys(begun), ...Object.keys(asked)])) {
    const [before, now] = [JSON.stringify(begun[key]), JSON.stringify(asked[key])];
    if (before !== now)
      throw new FlatrankError(
        'ERR_INVALID_ARGUMENT',
        `Expected \`${key}\` to be ${before ?? 'left out'}, as in the run that was begun in ${directory}, ` +
          `but received ${now ?? 'nothing'}: give another directory, or remove this one`,
      );
  }
}

function notWritable(path: string, cause: unknown): FlatrankError {
  if (cause instanceof FlatrankError) return cause;
  return new FlatrankError('ERR_NOT_FOUND', `Expected ${path} to be writable but: ${(cause as Error).message}`, {
    cause,
  });
}
