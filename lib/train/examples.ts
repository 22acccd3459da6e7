/** What training learns from. */
import type { InputExample } from '../data/index.js';

/** Texts and the embedding that each of them is to have. */
export interface EmbeddingExample {
  readonly texts: readonly string[];
  readonly label: Float32Array | readonly number[];
}

/** An example as the training thread has it. */
export interface TrainingExample {
  readonly texts: readonly string[];
  readonly label?: Label;
}

/** A score, a class, or an embedding. */
export type Label = number | Float32Array;

/** A copy for the training thread: of an embedding that is a row of a matrix the row alone. */
export function trainingExample({ texts, label }: InputExample | EmbeddingExample): TrainingExample {
  if (label === undefined) return { texts: [...texts] };
  return { texts: [...texts], label: typeof label === 'number' ? label : Float32Array.from(label) };
}
