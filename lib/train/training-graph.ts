/** One graph for a training step: encoder, pooling, loss and the gradients of every parameter that is trained. */
import { Builder, classScores, joinedLinears, GroupedLayout, tokenVectors } from '../encoders/index.js';
import type { DropoutKind, Encoder } from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import { differentiate } from '../graph/gradient.js';
import { Graph, type Dim, type Value } from '../graph/graph.js';
import * as op from '../graph/ops.js';
import * as t from '../graph/training-ops.js';
import type { PoolingMode } from '../native.js';
import { embeddingLoss, scoreLoss, unit } from './loss-graph.js';
import type { CrossEncoderLoss, MSELoss, SentenceLoss } from './losses.js';

/** From token vectors to embeddings. */
export interface EmbeddingHead {
  readonly type: 'embedding';
  readonly pooling: readonly PoolingMode[];
  readonly normalize: boolean;
}

/** From token vectors to class scores. */
export interface ScoreHead {
  readonly type: 'scores';
  readonly labels: number;
}

export type Head = EmbeddingHead | ScoreHead;

/**
 * What a graph computes. 'loss': a loss and its gradients. 'embed': embeddings alone. 'backward': gradients of Σ embedding ·
 * `embedding_gradient`, an input, by which a batch can be done in parts.
 */
export type Goal =
  | { readonly type: 'loss'; readonly loss: SentenceLoss | MSELoss; readonly columns: number }
  | { readonly type: 'loss'; readonly loss: CrossEncoderLoss; readonly columns: 1 }
  | { readonly type: 'embed' }
  | { readonly type: 'backward' };

/** What {@link trainingGraph} takes. */
export interface TrainingGraphOptions {
  readonly encoder: Encoder;
  readonly head: Head;
  readonly goal: Goal;
  /** Groups that attention is cut into. */
  readonly groups: number;
  /** Whether values are dropped as the configuration says. */
  readonly dropout: boolean;
  /** Whether a parameter, by its name in the body, stays as it is. */
  readonly frozen: (name: string) => boolean;
}

/** A mask that the graph wants: 1 keeps, 0 drops. */
export interface DropoutSite {
  readonly input: string;
  readonly shape: readonly Dim[];
  readonly probability: number;
}

/** A parameter of the graph and its gradient's outputs. */
export interface ParameterOutput {
  readonly name: string;
  readonly shape: readonly number[];
  /** Output of the whole gradient, where there is one. */
  readonly dense: string | undefined;
  /** Outputs of rows, with the input or constant that holds their ids. */
  readonly rows: readonly { readonly output: string; readonly ids: string | Int32Array }[];
}

/** A graph ready to be written, and what it wants and gives. */
export interface TrainingGraph {
  readonly graph: Graph;
  /** Every parameter, by name and shape, those that stay as they are included. */
  readonly parameters: ReadonlyMap<string, readonly number[]>;
  /** In the order in which the backward pass gives them. */
  readonly trained: readonly ParameterOutput[];
  /** Outputs of rows, with their shapes. */
  readonly rowOutputs: ReadonlyMap<string, readonly Dim[]>;
  readonly dropout: readonly DropoutSite[];
}

/** Builds the graph that `o` describes. */
export function trainingGraph(o: TrainingGraphOptions): TrainingGraph {
  const graph = new Graph();
  const sites: DropoutSite[] = [];
  const probabilities = o.encoder.architecture.dropout;
  const dropout = (x: Value, kind: DropoutKind): Value => {
    const probability = probabilities[kind];
    if (!o.dropout || probability === 0) return x;
    const site = { input: `dropout_${sites.length}`, shape: x.shape, probability };
    sites.push(site);
    const mask = graph.input(site.input, 'uint8', x.shape);
    return op.mul(graph, x, t.scaledMask(graph, mask, 1 / (1 - probability)));
  };
  const layout = new GroupedLayout(graph, o.encoder.architecture, o.groups, dropout);
  const parameters = new Map<string, Value>();
  const provider = (g: Graph, name: string, shape: readonly number[]): Value => {
    const value = g.input(name, 'float32', shape);
    parameters.set(name, value);
    return value;
  };
  const builder = new Builder(graph, layout, provider, joinedLinears, dropout);
  const result =
    o.head.type === 'scores'
      ? scores(builder, o.encoder, o.head, layout)
      : embeddings(builder, o.encoder, o.head, layout);
  const shapes = new Map([...parameters].map(([name, { shape }]) => [name, shape as readonly number[]]));
  if (o.goal.type === 'embed') {
    graph.output('embeddings', result);
    return { graph, parameters: shapes, trained: [], rowOutputs: new Map(), dropout: sites };
  }
  const loss = lossOf(graph, o.goal, result);
  graph.output('loss', loss);
  const wanted = new Map([...parameters].filter(([name]) => !o.frozen(name)));
  const gradients = differentiate(graph, loss, { wanted: [...wanted.values()], inverses: layout.inverses });
  return { graph, parameters: shapes, ...outputs(graph, wanted, gradients), dropout: sites };
}

/** The graph of a loss alone, over embeddings that are computed elsewhere: their gradients come out. */
export function lossGraph(loss: SentenceLoss | MSELoss, columns: number, dimension: number): Graph {
  const graph = new Graph();
  const input = graph.input('embeddings', 'float32', ['B', dimension]);
  const value = embeddingLoss(graph, loss, t.splitEqually(graph, input, columns, 'examples'));
  graph.output('loss', value);
  const { dense } = differentiate(graph, value, { wanted: [input] }).get(input)!;
  graph.output('embedding_gradient', dense!);
  return graph;
}

function lossOf(graph: Graph, goal: Exclude<Goal, { type: 'embed' }>, result: Value): Value {
  if (goal.type === 'backward') {
    const gradient = graph.input('embedding_gradient', 'float32', result.shape);
    const sum = t.reduceSum(graph, op.mul(graph, result, gradient), [0, 1], true);
    return op.reshape(graph, sum, graph.constant(new BigInt64Array(0)), []);
  }
  const { loss } = goal;
  if (loss.type === 'BinaryCrossEntropyLoss' || loss.type === 'CrossEntropyLoss') return scoreLoss(graph, loss, result);
  return embeddingLoss(graph, loss, t.splitEqually(graph, result, goal.columns, 'examples'));
}

/** Rows in the order of the groups, as the texts came. */
function inTextOrder(graph: Graph, layout: GroupedLayout): (rows: Value) => Value {
  const rows = graph.input('text_rows', 'int64', ['B']);
  const mask = graph.input('real_rows', 'float32', ['firsts', 1]);
  layout.inverses.set(rows, { indices: graph.input('row_texts', 'int64', ['firsts']), mask });
  return (x) => op.gather(graph, x, rows);
}

function scores(b: Builder, encoder: Encoder, { labels }: ScoreHead, layout: GroupedLayout): Value {
  return inTextOrder(b.graph, layout)(classScores(b, encoder, labels));
}

function embeddings(b: Builder, encoder: Encoder, { pooling, normalize }: EmbeddingHead, layout: GroupedLayout): Value {
  const { graph } = b;
  const onlyFirst = pooling.every((mode) => mode === 'cls');
  const x = tokenVectors(b, encoder, onlyFirst);
  const ordered = pooling.some((mode) => mode === 'cls' || mode === 'max') ? inTextOrder(graph, layout) : undefined;
  const parts = pooling.map((mode) => {
    if (mode === 'cls') return ordered!(onlyFirst ? x : layout.first(x));
    if (mode === 'max') return ordered!(layout.max(x));
    return op.matMul(graph, graph.input(`pool_${mode}`, 'float32', ['B', 'T']), x);
  });
  const { hidden } = encoder.architecture;
  const pooled = parts.length === 1 ? parts[0]! : op.concat(graph, parts, 1, parts.length * hidden);
  return normalize ? unit(graph, pooled) : pooled;
}

/** Names the gradients as outputs: those of the last layer, which come first, first. */
function outputs(
  graph: Graph,
  wanted: ReadonlyMap<string, Value>,
  gradients: ReturnType<typeof differentiate>,
): Pick<TrainingGraph, 'trained' | 'rowOutputs'> {
  const rowNames = new Map<Value, string>();
  const rowOutputs = new Map<string, readonly Dim[]>();
  const trained: ParameterOutput[] = [];
  for (const [name, value] of [...wanted].reverse()) {
    const { dense, rows } = gradients.get(value)!;
    if (dense) graph.output(`d ${name}`, dense);
    const own = rows.map(({ rows: x, ids }) => {
      let output = rowNames.get(x);
      if (output === undefined) {
        rowNames.set(x, (output = `rows_${rowNames.size}`));
        rowOutputs.set(output, x.shape);
        graph.output(output, x);
      }
      return { output, ids: idsOf(graph, ids) };
    });
    trained.push({ name, shape: value.shape as readonly number[], dense: dense && `d ${name}`, rows: own });
  }
  return { trained, rowOutputs };
}

/** Ids of rows are known where the graph is fed: they are one of its inputs, or a constant. */
function idsOf(graph: Graph, ids: Value): string | Int32Array {
  if (graph.inputs.includes(ids)) return ids.name;
  const constant = graph.constants.find(({ value }) => value === ids);
  if (!constant) throw new FlatrankError('ERR_UNSUPPORTED', 'Expected rows of a table to be looked up by known ids');
  const { buffer, byteOffset, byteLength } = constant.data as Uint8Array;
  return Int32Array.from(new BigInt64Array(buffer as ArrayBuffer, byteOffset, byteLength / 8), Number);
}
