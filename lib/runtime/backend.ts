/**
 * The seam behind which a model runs: tokens in, hidden states (or logits) out. Nothing is padded at the interface, so
 * that a backend may pad, or run on the token stream as it is.
 */

/** The tokens of n texts, one after another: text i has the tokens `starts[i] .. starts[i + 1]`. */
export interface TokenBatch {
  /** (T) token ids, inside the model's vocabulary. */
  readonly ids: Int32Array;
  /** (T) token type ids. */
  readonly typeIds: Int32Array;
  /** (n + 1), ascending from 0 to T; no text is empty. */
  readonly starts: Int32Array;
}

/** What a backend gives: token vectors ("hidden"), or of a text one embedding ("pooled") or its class scores ("logits"). */
export type BackendOutputKind = 'hidden' | 'pooled' | 'logits';

/** How a backend pools token vectors that does so itself. */
export interface PoolOptions {
  /** Tokens at the start of every text that are left out. */
  readonly skip: number;
  /** Whether embeddings are scaled to unit length. */
  readonly normalize: boolean;
}

/** What a model runs on. */
export type Processor = 'cpu' | 'cuda';

/** In which numbers a model computes its linear layers. */
export type Precision = 'float32' | 'int8';

/** Rows of `cols` values. Valid until the next `run` of the same backend. */
export interface BackendOutput {
  /** (rows · cols), row-major. */
  readonly data: Float32Array;
  readonly cols: number;
  /**
   * (n) first row of text i. Hidden states: as many rows follow as the text has tokens, and rows between texts may be
   * padding. Else one row.
   */
  readonly offsets: Int32Array;
}

/** A model that is ready to run. One `run` at a time. */
export interface Backend {
  readonly output: BackendOutputKind;
  /**
   * @param pool for the output "pooled"
   * @throws FlatrankError `ERR_MODEL` where the model fails or gives another shape than it declares
   */
  run(batch: TokenBatch, pool?: PoolOptions): Promise<BackendOutput>;
  /** Frees the model. No `run` is under way. */
  dispose(): Promise<void>;
}
