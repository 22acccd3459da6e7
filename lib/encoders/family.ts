import type { z } from 'zod';
import type { Value } from '../graph/graph.js';
import type { Builder } from './builder.js';

/** An encoder's sizes and switches, whatever its family calls them in config.json. */
export interface Architecture {
  readonly vocabSize: number;
  /** Rows of the position embeddings. */
  readonly positions: number;
  /** Rows of the token type embeddings; 0 where there are none. */
  readonly types: number;
  /** Values of a token vector. */
  readonly hidden: number;
  /** Values of a word embedding, where it is projected to `hidden`; else the same. */
  readonly embedding: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediate: number;
  /** Name of the feed-forward layer's activation. */
  readonly activation: string;
  /** Added to the variance in layer normalisation. */
  readonly epsilon: number;
  /** The word embedding that is not trained: zero at the start. */
  readonly padId: number;
  /**
   * How positions count. 'zero': from 0 in every text. 'padding': from `padId` + 1, and tokens that are `padId` have that
   * position and are not counted, as in fairseq.
   */
  readonly positionsFrom: 'zero' | 'padding';
  /** Standard deviation of random weights. */
  readonly initializerRange: number;
  /** Probabilities that training drops a value, by place, and whether it drops any behind attention's output layer. */
  readonly dropout: {
    readonly hidden: number;
    readonly attention: number;
    readonly classifier: number;
    readonly attentionOutput: boolean;
  };
  /** Buckets of relative positions, where attention has a bias by them (MPNet). */
  readonly relativeBuckets?: number;
}

/** Names of a layer's parameters, without `.weight` and `.bias`. */
export interface LayerNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly attentionOutput: string;
  readonly attentionNorm: string;
  readonly intermediate: string;
  readonly output: string;
  readonly outputNorm: string;
}

/** A family of encoders: how its config.json, its checkpoint and its graph go together. */
export interface Family {
  /** Values of `model_type`. */
  readonly modelTypes: readonly string[];
  /** Name of the body inside a model with a head, in checkpoints. */
  readonly prefix: string;
  /** Start of transformers' class names, in `architectures`. */
  className(modelType: string): string;
  /** What config.json must hold; defaults are transformers'. */
  readonly schema: z.ZodType<Architecture>;
  /** Names in layer `i`. */
  layer(i: number): LayerNames;
  /** What enters the first layer (T, hidden). */
  embed(b: Builder, a: Architecture): Value;
  /** Class scores (n, labels) of the texts' first token vectors (n, hidden). */
  classify(b: Builder, a: Architecture, first: Value, labels: number): Value;
  /** The linear layer whose outputs are the labels. */
  readonly classifier: string;
  /** Whether transformers keeps a pooler (a linear layer `pooler.dense`) in the body. */
  readonly pooler: boolean;
}
