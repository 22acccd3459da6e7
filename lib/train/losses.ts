/**
 * What training minimises, as plain descriptions: they say which loss is meant and with which constants, and cross into the
 * training thread as they are. Definitions are those of sentence-transformers.
 */
import { checkBoolean, checkInteger, checkObject, checkOneOf, invalidArgument } from '../errors.js';

/** How two embeddings are compared by a ranking loss. */
export type RankingSimilarity = 'cosine' | 'dot';

/** How far two embeddings of a triplet are apart. */
export type TripletDistance = 'cosine' | 'euclidean' | 'manhattan';

function positive(name: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw invalidArgument(name, 'a positive number', value);
}

/** Mean squared difference between the cosine of a pair and its label (0 … 1). Examples: two texts and a label. */
export class CosineSimilarityLoss {
  readonly type = 'CosineSimilarityLoss';
}

/** Options of {@link MultipleNegativesRankingLoss}. */
export interface MultipleNegativesRankingOptions {
  /** Similarities count times this before the softmax: 20 unless given. */
  readonly scale?: number;
  /** 'cosine' unless given. */
  readonly similarity?: RankingSimilarity;
  /** Whether passages have to find their queries, too (the mean of both directions). */
  readonly symmetric?: boolean;
}

/**
 * Cross-entropy of each anchor's positive among all positives and negatives of the batch (Henderson et al. 2017,
 * https://arxiv.org/abs/1705.00652). Examples: anchor, positive, and as many hard negatives as you like, no label.
 */
export class MultipleNegativesRankingLoss {
  readonly type = 'MultipleNegativesRankingLoss';
  readonly scale: number;
  readonly similarity: RankingSimilarity;
  readonly symmetric: boolean;

  constructor(options: MultipleNegativesRankingOptions = {}) {
    const { scale = 20, similarity = 'cosine', symmetric = false } = checkObject('options', options);
    this.scale = positive('scale', scale);
    this.similarity = checkOneOf('similarity', similarity, ['cosine', 'dot']);
    this.symmetric = checkBoolean('symmetric', symmetric);
  }
}

/** Options of {@link CachedMultipleNegativesRankingLoss}. */
export interface CachedMultipleNegativesRankingOptions extends MultipleNegativesRankingOptions {
  /** Texts that are in memory at a time: 32 unless given. */
  readonly miniBatchSize?: number;
}

/**
 * The same loss over batches of any size in the memory of a small one: texts are embedded twice, part by part (Gao et al.
 * 2021, https://arxiv.org/abs/2101.06983).
 */
export class CachedMultipleNegativesRankingLoss {
  readonly type = 'CachedMultipleNegativesRankingLoss';
  readonly loss: MultipleNegativesRankingLoss;
  readonly miniBatchSize: number;

  constructor(options: CachedMultipleNegativesRankingOptions = {}) {
    this.loss = new MultipleNegativesRankingLoss(options);
    this.miniBatchSize = checkInteger('miniBatchSize', options.miniBatchSize ?? 32);
  }
}

/**
 * log(1 + Σ exp(scale (cos i − cos j))) over all pairs of examples of which i has the lower label (CoSENT, Su 2022,
 * https://kexue.fm/archives/8847). Examples: two texts and a label of any range.
 */
export class CoSENTLoss {
  readonly type = 'CoSENTLoss';
  readonly scale: number;

  constructor(options: { readonly scale?: number } = {}) {
    const { scale = 20 } = checkObject('options', options);
    this.scale = positive('scale', scale);
  }
}

/** max(0, d(anchor, positive) − d(anchor, negative) + margin). Examples: anchor, positive, negative, no label. */
export class TripletLoss {
  readonly type = 'TripletLoss';
  readonly distance: TripletDistance;
  readonly margin: number;

  constructor(options: { readonly distance?: TripletDistance; readonly margin?: number } = {}) {
    const { distance = 'euclidean', margin = 5 } = checkObject('options', options);
    this.distance = checkOneOf('distance', distance, ['cosine', 'euclidean', 'manhattan']);
    this.margin = positive('margin', margin);
  }
}

/** Losses of embeddings that {@link MatryoshkaLoss} goes around. */
export type EmbeddingLoss =
  CosineSimilarityLoss | MultipleNegativesRankingLoss | CachedMultipleNegativesRankingLoss | CoSENTLoss | TripletLoss;

/**
 * The sum of another loss over the first values of the embeddings, so that they can be cut (Kusupati et al. 2022,
 * https://arxiv.org/abs/2205.13147). Cut embeddings are normalised.
 */
export class MatryoshkaLoss {
  readonly type = 'MatryoshkaLoss';
  readonly loss: EmbeddingLoss;
  readonly dimensions: readonly number[];
  readonly weights: readonly number[];

  /** @param options.weights one a dimension; all 1 unless given */
  constructor(
    loss: EmbeddingLoss,
    options: { readonly dimensions: readonly number[]; readonly weights?: readonly number[] },
  ) {
    const { dimensions, weights } = checkObject('options', options);
    if (!Array.isArray(dimensions) || dimensions.length === 0)
      throw invalidArgument('dimensions', 'an array of dimensions', dimensions);
    for (const d of dimensions as readonly unknown[])
      if (!Number.isSafeInteger(d) || (d as number) < 1) throw invalidArgument('dimensions', 'positive integers', d);
    if (weights !== undefined && weights.length !== dimensions.length)
      throw invalidArgument('weights', `an array of ${dimensions.length} numbers`, weights);
    this.loss = loss;
    this.dimensions = [...(dimensions as readonly number[])];
    this.weights = weights ? [...weights] : dimensions.map(() => 1);
  }
}

/**
 * Mean squared difference between the embedding of each of an example's texts and the example's label, an embedding of the
 * same length. A student learns a teacher's embeddings by it, and with translations beside the texts also in languages that the
 * teacher does not know (Reimers and Gurevych 2020, https://arxiv.org/abs/2004.09813). Examples: one text or more, and the
 * embedding that all of them are to have.
 */
export class MSELoss {
  readonly type = 'MSELoss';
}

/**
 * Binary cross-entropy of a cross-encoder's logit, for a model of one label. Examples: two texts and a label (0 … 1).
 * `posWeight` is how much positives count.
 */
export class BinaryCrossEntropyLoss {
  readonly type = 'BinaryCrossEntropyLoss';
  readonly posWeight: number;

  constructor(options: { readonly posWeight?: number } = {}) {
    const { posWeight = 1 } = checkObject('options', options);
    this.posWeight = positive('posWeight', posWeight);
  }
}

/** Cross-entropy of a cross-encoder's classes. Examples: two texts and a class from 0 on. */
export class CrossEntropyLoss {
  readonly type = 'CrossEntropyLoss';
}

/** Losses of a {@link SentenceTransformer} whose examples have a number for a label, or none. */
export type SentenceLoss = EmbeddingLoss | MatryoshkaLoss;

/** Losses of a {@link CrossEncoder}. */
export type CrossEncoderLoss = BinaryCrossEntropyLoss | CrossEntropyLoss;

export type Loss = SentenceLoss | MSELoss | CrossEncoderLoss;

const sentenceLosses = new Set<Loss['type']>([
  'CosineSimilarityLoss',
  'MultipleNegativesRankingLoss',
  'CachedMultipleNegativesRankingLoss',
  'CoSENTLoss',
  'TripletLoss',
  'MatryoshkaLoss',
  'MSELoss',
]);

/** Whether `loss` is one of embeddings. */
export const isSentenceLoss = (loss: Loss): loss is SentenceLoss | MSELoss => sentenceLosses.has(loss.type);

/** Whether examples need a label. */
export function needsLabel(loss: Loss): boolean {
  if (loss.type === 'MatryoshkaLoss') return needsLabel(loss.loss);
  return !['MultipleNegativesRankingLoss', 'CachedMultipleNegativesRankingLoss', 'TripletLoss'].includes(loss.type);
}

/** Fewest and most texts of an example. */
export function textsOf(loss: Loss): readonly [least: number, most: number] {
  if (loss.type === 'MatryoshkaLoss') return textsOf(loss.loss);
  if (loss.type === 'TripletLoss') return [3, 3];
  if (loss.type === 'MSELoss') return [1, Infinity];
  return loss.type === 'MultipleNegativesRankingLoss' || loss.type === 'CachedMultipleNegativesRankingLoss'
    ? [2, Infinity]
    : [2, 2];
}

/** Whether the other examples of a batch are negatives, so that no text may be there twice. */
export function hasInBatchNegatives(loss: Loss): boolean {
  if (loss.type === 'MatryoshkaLoss') return hasInBatchNegatives(loss.loss);
  return loss.type === 'MultipleNegativesRankingLoss' || loss.type === 'CachedMultipleNegativesRankingLoss';
}
