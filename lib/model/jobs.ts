/** The calls of a model, as the worker does them: tokenize step by step, sort, run batch after batch. */
import type { TokenBatch } from '../runtime/backend.js';
import type { Job, JobResult } from '../runtime/serve.js';
import { planBatches, TokenStore } from './batching.js';
import type { TextTokenizer, Tokens } from './tokenizer.js';

/** A step tokenizes so many texts at most, or as many as have about so many characters together. */
const stepTexts = 64;
const stepChars = 262_144;

/** Texts wait here until a step takes them. Slices may cut between the texts of a pair. */
class TextQueue {
  #texts: string[] = [];
  #next = 0;
  complete = false;

  get length(): number {
    return this.#texts.length - this.#next;
  }

  push(texts: readonly string[], last: boolean): void {
    this.#texts = this.#texts.slice(this.#next).concat(texts);
    this.#next = 0;
    this.complete = last;
  }

  /** Calls `take` on groups of `size` texts until a step's worth is done. */
  drain(size: number, take: (...texts: string[]) => void): void {
    for (let count = 0, chars = 0; this.length >= size && count < stepTexts && chars < stepChars; count++) {
      const texts = this.#texts.slice(this.#next, this.#next + size);
      this.#next += size;
      for (const text of texts) chars += text.length;
      take(...texts);
    }
  }
}

/** What a job over batches does with tokens and results. */
export interface BatchWork {
  /** Texts of one input: 1, or 2 for pairs. */
  readonly stride: 1 | 2;
  readonly batchTokens: number;
  tokenize(...texts: string[]): Tokens;
  /** Values of a result. */
  readonly cols: number;
  /** The results of a batch, row by row. */
  run(batch: TokenBatch): Promise<Float32Array>;
  /** Last touch before the results leave. */
  finish?(results: Float32Array): void;
}

/** What a {@link BatchJob} answers. */
export interface BatchResult {
  /** Results in input order. */
  readonly data: Float32Array;
  /** Indices of the inputs that were truncated. */
  readonly truncated: Int32Array;
}

/** Tokenizes everything, then runs length-sorted batches; a call that fits one step is done in one. */
export class BatchJob implements Job {
  readonly #work: BatchWork;
  readonly #report: (done: number) => void;
  readonly #queue = new TextQueue();
  readonly #tokens = new TokenStore();
  #batches: Int32Array[] | undefined;
  #results = new Float32Array(0);
  #next = 0;
  #done = 0;

  constructor(work: BatchWork, report: (done: number) => void) {
    this.#work = work;
    this.#report = report;
  }

  get ready(): boolean {
    return this.#queue.complete || this.#queue.length >= this.#work.stride;
  }

  push(texts: readonly string[], last: boolean): void {
    this.#queue.push(texts, last);
  }

  async step(): Promise<JobResult | undefined> {
    this.#queue.drain(this.#work.stride, (...texts) => {
      this.#tokens.push(this.#work.tokenize(...texts));
    });
    if (!this.#queue.complete || this.#queue.length >= this.#work.stride) return undefined;
    if (!this.#batches) {
      this.#batches = planBatches(this.#tokens.lengths(), this.#work.batchTokens);
      this.#results = new Float32Array(this.#tokens.count * this.#work.cols);
    }
    const indices = this.#batches[this.#next++];
    if (indices) {
      const rows = await this.#work.run(this.#tokens.gather(indices));
      const { cols } = this.#work;
      for (const [row, i] of indices.entries())
        this.#results.set(rows.subarray(row * cols, (row + 1) * cols), i * cols);
      this.#done += indices.length;
      this.#report(this.#done);
    }
    return this.#next < this.#batches.length ? undefined : this.#finish();
  }

  #finish(): JobResult {
    this.#work.finish?.(this.#results);
    const data = this.#results;
    const { truncated } = this.#tokens;
    const value: BatchResult = { data, truncated };
    // Both were allocated by V8, so they move to the other thread; memory of an addon would be copied.
    return { value, transfer: [data.buffer, truncated.buffer] };
  }
}

/** Lengths of texts in tokens, before truncation, special tokens included. */
export class CountJob implements Job {
  readonly #tokenizer: TextTokenizer;
  readonly #report: (done: number) => void;
  readonly #queue = new TextQueue();
  readonly #counts: number[] = [];

  constructor(tokenizer: TextTokenizer, report: (done: number) => void) {
    this.#tokenizer = tokenizer;
    this.#report = report;
  }

  get ready(): boolean {
    return this.#queue.complete || this.#queue.length > 0;
  }

  push(texts: readonly string[], last: boolean): void {
    this.#queue.push(texts, last);
  }

  step(): Promise<JobResult | undefined> {
    this.#queue.drain(1, (text) => this.#counts.push(this.#tokenizer.count(text)));
    this.#report(this.#counts.length);
    if (!this.#queue.complete || this.#queue.length > 0) return Promise.resolve(undefined);
    const value = Int32Array.from(this.#counts);
    return Promise.resolve({ value, transfer: [value.buffer] });
  }
}

/** One piece of asynchronous work that takes no texts, such as saving. */
export class ActionJob implements Job {
  readonly #action: () => Promise<void>;
  ready = false;

  constructor(action: () => Promise<void>) {
    this.#action = action;
  }

  push(): void {
    this.ready = true;
  }

  async step(): Promise<JobResult> {
    await this.#action();
    return { value: undefined, transfer: [] };
  }
}
