/** The training log: a JSON line for every step and evaluation. */
import { open, readFile, rename, writeFile, type FileHandle } from 'node:fs/promises';
import { FlatrankError } from '../errors.js';

/** A line of the log. Steps have a loss, evaluations their metrics. */
export interface LogLine {
  readonly step: number;
  readonly epoch: number;
  readonly loss?: number;
  readonly learning_rate?: number;
  readonly grad_norm?: number;
  readonly tokens_per_second?: number;
  readonly [metric: string]: number | undefined;
}

export class TrainingLog {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Opens the log: empty, or where training goes on, as it was at `step`. */
  static async open(path: string, step: number): Promise<TrainingLog> {
    try {
      const kept = step === 0 ? '' : await linesUpTo(path, step);
      await writeFile(`${path}.tmp`, kept);
      await rename(`${path}.tmp`, path);
      return new TrainingLog(await open(path, 'a'));
    } catch (cause) {
      throw new FlatrankError('ERR_NOT_FOUND', `Expected ${path} to be writable but: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  async write(line: LogLine): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Reads the lines of a log; one that a killed run left half written is left out. */
export async function readLog(path: string): Promise<LogLine[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as LogLine];
    } catch {
      return [];
    }
  });
}

async function linesUpTo(path: string, step: number): Promise<string> {
  const kept = (await readLog(path)).filter((line) => line.step <= step);
  return kept.map((line) => `${JSON.stringify(line)}\n`).join('');
}
