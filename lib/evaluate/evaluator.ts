import { checkString } from '../errors.js';
import type { OnProgress } from '../model/index.js';

/** What an evaluator measured: values by name, names as Python's sentence-transformers has them. */
export type Metrics = Record<string, number>;

/** What every evaluation takes. */
export interface EvaluateOptions {
  /** Called as the model goes on, with the texts or pairs done. */
  onProgress?: OnProgress | undefined;
  /** Aborting rejects the evaluation with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

/** What an evaluator passes to a bi-encoder. */
export interface EvaluatedEncodeOptions {
  batchTokens?: number;
  truncateDim?: number;
  prompt?: string;
  promptName?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** Embeddings (rows, cols), row-major: a Matrix, or anything of its shape. */
export interface Embeddings {
  readonly data: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** A bi-encoder as evaluators see it: a SentenceTransformer, or any object with these methods. */
export interface EvaluatedEncoder {
  /** How its embeddings are compared where an evaluator is not told: 'cosine', 'dot', 'euclidean' or 'manhattan'. */
  readonly similarityFnName?: string;
  /** Embeddings (n, dimension) of n texts. */
  encode(texts: readonly string[], options?: EvaluatedEncodeOptions): Promise<Embeddings>;
  /** The same for queries; `encode` unless there. */
  encodeQuery?(texts: readonly string[], options?: EvaluatedEncodeOptions): Promise<Embeddings>;
  /** The same for documents; `encode` unless there. */
  encodeDocument?(texts: readonly string[], options?: EvaluatedEncodeOptions): Promise<Embeddings>;
}

/** What an evaluator passes to a cross-encoder. */
export interface EvaluatedPredictOptions {
  activation?: 'none';
  batchTokens?: number;
  promptName?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** A cross-encoder as evaluators see it: a CrossEncoder, or any object with this method. */
export interface EvaluatedCrossEncoder {
  /** One score a pair (n). */
  predict(pairs: readonly (readonly [string, string])[], options?: EvaluatedPredictOptions): Promise<ArrayLike<number>>;
}

/** Anything that measures a model: what training takes to choose the best one. */
export interface Evaluates<Model> {
  evaluate(model: Model, options?: EvaluateOptions): Promise<Metrics | number>;
  /** Which of the metrics says how good the model is; the first one unless there. */
  readonly primaryMetric?: string | undefined;
  /** Whether more of it is better; true unless there. */
  readonly greaterIsBetter?: boolean;
}

/** What all evaluators share: a name before every metric, and the one metric that models are compared by. */
export abstract class Evaluator<Model> implements Evaluates<Model> {
  /** Stands before every metric, with an underscore; nothing where it is empty. */
  readonly name: string;
  readonly greaterIsBetter: boolean = true;
  #primary: string | undefined;

  /** @param primary the primary metric, where it does not depend on the model */
  constructor(name: string | undefined, primary?: string) {
    this.name = checkString('name', name ?? '');
    if (primary !== undefined) this.#primary = this.#named(primary);
  }

  /** The metric that models are compared by, `name` included; undefined until `evaluate` where the model decides it. */
  get primaryMetric(): string | undefined {
    return this.#primary;
  }

  /**
   * Measures a model.
   * @throws FlatrankError `ERR_MODEL` where it gives results of another shape than asked for; `signal.reason` where aborted
   */
  abstract evaluate(model: Model, options?: EvaluateOptions): Promise<Metrics>;

  /** The metrics under the evaluator's name; makes one of them primary. */
  protected report(metrics: Metrics, primary: string | undefined): Metrics {
    this.#primary = primary === undefined ? undefined : this.#named(primary);
    return Object.fromEntries(Object.entries(metrics).map(([metric, value]) => [this.#named(metric), value]));
  }

  #named(metric: string): string {
    return this.name === '' ? metric : `${this.name}_${metric}`;
  }
}
