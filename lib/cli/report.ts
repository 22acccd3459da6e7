import { Presets, SingleBar } from 'cli-progress';
import type { OnProgress } from '../runtime/progress.js';

/** A job that tells how far it is, with a word on it, and how far it will go where that changes. */
type Watched<T> = (update: (done: number, note?: string) => void, setTotal: (total: number) => void) => Promise<T>;
const unwatched = [() => undefined, () => undefined] as const;

const barFormat = '{bar} {value}/{total} | {duration_formatted} | ETA {eta_formatted}{note}';

/** A bar on stderr that goes when it is stopped. */
function startBar(format: string, total: number): SingleBar {
  const options = { format, stream: process.stderr, clearOnComplete: true, hideCursor: true, gracefulExit: false };
  const bar = new SingleBar(options, Presets.shades_classic);
  bar.start(total, 0, { note: '' });
  return bar;
}

/**
 * What a command says beside its results, on stderr: a progress bar and notes on a terminal, nothing in a pipe unless
 * it is asked for. Also the stopwatch of its stages.
 */
export class Report {
  /** Milliseconds of each stage so far, by name. */
  readonly timesMs: Record<string, number> = {};
  readonly #verbose: boolean;
  readonly #terminal = process.stderr.isTTY && process.env['TERM'] !== 'dumb';

  constructor(verbose: boolean) {
    this.#verbose = verbose;
  }

  /** Runs a stage and keeps its time. */
  async stage<T>(name: string, job: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await job();
    } finally {
      const ms = (this.timesMs[name] ?? 0) + performance.now() - start;
      this.timesMs[name] = Math.round(ms * 100) / 100;
    }
  }

  /** Loads a model, as the stage 'load': under a bar of bytes where it has to be downloaded. */
  async load<T>(job: (onProgress: OnProgress) => Promise<T>): Promise<T> {
    return this.stage('load', () =>
      this.progress('load', 1, (update, setTotal) =>
        job(({ done, total }) => {
          setTotal(total);
          update(done);
        }),
      ),
    );
  }

  /** Runs a job that tells how far it is, and a word on it, under a bar that goes when it ends. */
  async progress<T>(label: string, total: number, job: Watched<T>): Promise<T> {
    if (total === 0) return job(...unwatched);
    return this.#bar(`${label} ${barFormat}`, total, job);
  }

  /** The same for a job that does not know how much there is to do. */
  async count<T>(label: string, job: Watched<T>): Promise<T> {
    return this.#bar(`${label} {value} | {duration_formatted}{note}`, 0, job);
  }

  /** Runs a job of several stages, each under a bar of its own; without a terminal, with `--verbose`, a line a stage. */
  async stages<T>(
    job: (update: (stage: string, done: number, total: number, note: string) => void) => Promise<T>,
  ): Promise<T> {
    let current: string | undefined;
    let bar: SingleBar | undefined;
    try {
      return await job((stage, done, total, note) => {
        if (stage !== current) {
          current = stage;
          bar?.stop();
          if (this.#terminal) bar = startBar(`${stage} ${barFormat}`, total);
          else this.note(stage);
        }
        bar?.setTotal(total);
        bar?.update(done, { note });
      });
    } finally {
      bar?.stop();
    }
  }

  async #bar<T>(format: string, total: number, job: Watched<T>): Promise<T> {
    if (!this.#terminal) return job(...unwatched);
    const bar = startBar(format, total);
    try {
      return await job(
        (done, note = '') => {
          bar.update(done, { note });
        },
        (known) => {
          bar.setTotal(known);
        },
      );
    } finally {
      bar.stop();
    }
  }

  /** A line for whoever watches: on a terminal, or with `--verbose`. */
  note(line: string): void {
    if (this.#terminal || this.#verbose) process.stderr.write(`${line}\n`);
  }

  /** That texts were cut, if any were. */
  truncated(count: number, of: number, maxSeqLength: number): void {
    if (count === 0) return;
    this.note(
      `${count} of ${of} texts are longer than the model's ${maxSeqLength} tokens; only their beginning counts.`,
    );
  }

  /** The times of the stages, with `--verbose`. */
  times(): void {
    if (!this.#verbose) return;
    const stages = Object.entries(this.timesMs).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`);
    process.stderr.write(`${stages.join(', ')}\n`);
  }
}
