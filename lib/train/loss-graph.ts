/** Losses as graphs: from embeddings or class scores, and what is said of the examples, to one number. */
import type { Graph, Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import * as t from '../graph/training-ops.js';
import type { Label } from './examples.js';
import type {
  CrossEncoderLoss,
  EmbeddingLoss,
  MSELoss,
  MultipleNegativesRankingLoss,
  SentenceLoss,
  TripletLoss,
} from './losses.js';

/** Pairs of CoSENT that do not count get this added to their difference. */
const excluded = -1e12;

const keptSum = (g: Graph, x: Value): Value => t.reduceSum(g, x, [1], true);
const scaled = (g: Graph, x: Value, factor: number): Value => op.mul(g, x, op.float(g, factor));

/** Euclidean norms of rows (n, 1), at least `least`. */
const norms = (g: Graph, x: Value, least: number): Value =>
  t.sqrt(g, op.max(g, keptSum(g, op.mul(g, x, x)), op.float(g, least ** 2)));

/** Rows of length one, as torch.nn.functional.normalize makes them. */
export const unit = (g: Graph, x: Value): Value => op.div(g, x, norms(g, x, 1e-12));

/** (n, 1) cosines of rows, as torch.cosine_similarity. */
function cosines(g: Graph, a: Value, b: Value): Value {
  const lengths = op.mul(g, norms(g, a, 1e-8), norms(g, b, 1e-8));
  return op.div(g, keptSum(g, op.mul(g, a, b)), lengths);
}

/** Inputs that a loss asks for besides its embeddings, made once. */
class LossInputs {
  readonly #graph: Graph;
  #labels: Value | undefined;
  #order: Value | undefined;
  #inverseCount: Value | undefined;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** (n, 1) scores, (n, classes) ones where an example's class is, or (n, dimension) embeddings. */
  labels(cols: number): Value {
    return (this.#labels ??= this.#graph.input('labels', 'float32', ['examples', cols]));
  }

  /** (n, n) zero where the row's label is lower than the column's, else a large negative number. */
  order(): Value {
    return (this.#order ??= this.#graph.input('label_order', 'float32', ['examples', 'examples']));
  }

  /** The mean of (n, 1), as a scalar. */
  mean(x: Value): Value {
    const g = this.#graph;
    this.#inverseCount ??= g.input('inverse_count', 'float32', []);
    return scalar(g, op.mul(g, t.reduceSum(g, x, [0], true), this.#inverseCount));
  }
}

const scalar = (g: Graph, x: Value): Value => op.reshape(g, x, g.constant(new BigInt64Array(0)), []);

/** The loss of embeddings. @param columns (n, dimension) each: anchors, positives, … */
export function embeddingLoss(g: Graph, loss: SentenceLoss | MSELoss, columns: readonly Value[]): Value {
  const inputs = new LossInputs(g);
  if (loss.type === 'MSELoss') return squaredError(g, columns, inputs);
  if (loss.type !== 'MatryoshkaLoss') return plainLoss(g, loss, columns, inputs);
  const terms = loss.dimensions.map((dimension, i) => {
    const cut = columns.map((column) => unit(g, firstValues(g, column, dimension)));
    return scaled(g, plainLoss(g, loss.loss, cut, inputs), loss.weights[i]!);
  });
  return terms.reduce((a, b) => op.add(g, a, b));
}

/** The mean over columns, examples and values. */
function squaredError(g: Graph, columns: readonly Value[], inputs: LossInputs): Value {
  const dimension = columns[0]!.shape[1] as number;
  const sums = columns.map((column) => {
    const difference = op.sub(g, column, inputs.labels(dimension));
    return keptSum(g, op.mul(g, difference, difference));
  });
  const sum = sums.reduce((a, b) => op.add(g, a, b));
  return inputs.mean(scaled(g, sum, 1 / (columns.length * dimension)));
}

function firstValues(g: Graph, x: Value, count: number): Value {
  const size = x.shape[1] as number;
  if (size === count) return x;
  return op.split(g, x, op.int64s(g, count, size - count), 1, [count, size - count])[0]!;
}

function plainLoss(g: Graph, loss: EmbeddingLoss, columns: readonly Value[], inputs: LossInputs): Value {
  const [a, b, c] = columns as readonly [Value, Value, Value];
  switch (loss.type) {
    case 'CosineSimilarityLoss': {
      const difference = op.sub(g, cosines(g, a, b), inputs.labels(1));
      return inputs.mean(op.mul(g, difference, difference));
    }
    case 'MultipleNegativesRankingLoss':
      return inputs.mean(ranking(g, loss, columns));
    case 'CachedMultipleNegativesRankingLoss':
      return inputs.mean(ranking(g, loss.loss, columns));
    case 'CoSENTLoss':
      return cosent(g, scaled(g, keptSum(g, op.mul(g, unit(g, a), unit(g, b))), loss.scale), inputs.order());
    case 'TripletLoss': {
      const gap = op.sub(g, distance(g, loss, a, b), distance(g, loss, a, c));
      return inputs.mean(op.relu(g, op.add(g, gap, op.float(g, loss.margin))));
    }
  }
}

/** (n, 1) −log of the share that each anchor's positive has in its softmax. */
function ranking(g: Graph, loss: MultipleNegativesRankingLoss, columns: readonly Value[]): Value {
  const [anchors, ...documents] = loss.similarity === 'cosine' ? columns.map((x) => unit(g, x)) : columns;
  const [positives] = documents;
  const all = documents.length === 1 ? positives! : op.concat(g, documents, 0, 'documents');
  const scores = (queries: Value, candidates: Value): Value =>
    t.reduceLogSumExp(g, t.fusedMatMul(g, queries, candidates, { transB: true, alpha: loss.scale }));
  let normalizer = scores(anchors!, all);
  if (loss.symmetric) normalizer = scaled(g, op.add(g, normalizer, scores(positives!, anchors!)), 0.5);
  const own = scaled(g, keptSum(g, op.mul(g, anchors!, positives!)), loss.scale);
  return op.sub(g, normalizer, own);
}

/** @param scores (n, 1) */
function cosent(g: Graph, scores: Value, order: Value): Value {
  const differences = op.add(g, op.sub(g, scores, op.transpose(g, scores, 1, 0)), order);
  const flat = op.reshape(g, differences, op.int64s(g, 1, -1), [1, 'pairs']);
  const zero = g.constant(new Float32Array(1), [1, 1]);
  return scalar(g, t.reduceLogSumExp(g, op.concat(g, [zero, flat], 1, 'terms')));
}

/** (n, 1) */
function distance(g: Graph, { distance: name }: TripletLoss, a: Value, b: Value): Value {
  if (name === 'cosine') return op.sub(g, op.float(g, 1), keptSum(g, op.mul(g, unit(g, a), unit(g, b))));
  const difference = op.sub(g, a, b);
  return name === 'manhattan' ? keptSum(g, op.abs(g, difference)) : norms(g, difference, 1e-12);
}

/** The loss of class scores. @param logits (n, labels) */
export function scoreLoss(g: Graph, loss: CrossEncoderLoss, logits: Value): Value {
  const inputs = new LossInputs(g);
  const labels = inputs.labels(logits.shape[1] as number);
  if (loss.type === 'CrossEntropyLoss')
    return inputs.mean(op.sub(g, t.reduceLogSumExp(g, logits), keptSum(g, op.mul(g, logits, labels))));
  // (1 − y) x + (1 + (w − 1) y) log(1 + exp(−x)), which does not overflow.
  const one = op.float(g, 1);
  const weights = op.add(g, scaled(g, labels, loss.posWeight - 1), one);
  const missed = op.mul(g, weights, t.softplus(g, op.neg(g, logits)));
  return inputs.mean(op.add(g, op.mul(g, op.sub(g, one, labels), logits), missed));
}

/** Values for the inputs that the losses above ask for. @param labels one an example @param classes of a cross-encoder */
export function lossFeeds(
  labels: readonly Label[],
  count: number,
  classes: number,
): Record<string, { data: Float32Array; shape: number[] }> {
  const [first] = labels;
  const columns = typeof first === 'object' ? first.length : Math.max(classes, 1);
  const values = new Float32Array(count * columns);
  labels.forEach((label, i) => {
    if (typeof label === 'object') values.set(label, i * columns);
    else if (columns === 1) values[i] = label;
    else values[i * columns + label] = 1;
  });
  const scores = labels.filter((label) => typeof label === 'number');
  const order = new Float32Array(scores.length > 0 ? count * count : 0).fill(excluded);
  scores.forEach((lower, i) => {
    scores.forEach((higher, j) => {
      if (lower < higher) order[i * count + j] = 0;
    });
  });
  return {
    labels: { data: values, shape: [count, columns] },
    label_order: { data: order, shape: [count, count] },
    inverse_count: { data: Float32Array.of(1 / count), shape: [] },
  };
}
