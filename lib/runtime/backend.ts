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

/** What a backend gives: token vectors ("hidden") or one row of class scores a text ("logits"). */
export type BackendOutputKind = 'hidden' | 'logits';

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
   * padding. Logits: one row.
   */
  readonly offsets: Int32Array;
}

/** A model that is ready to run. One `run` at a time. */
export interface Backend {
  readonly output: BackendOutputKind;
  /** @throws FlatrankError `ERR_MODEL` where the model fails or gives another shape than it declares */
  run(batch: TokenBatch): Promise<BackendOutput>;
  /** Frees the model. No `run` is under way. */
  dispose(): Promise<void>;
}
