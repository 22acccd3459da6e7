/** Runs training graphs: weights in, loss out, gradients left in buffers. For the training thread. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { FlatrankError } from '../errors.js';
import type { Encoder } from '../encoders/index.js';
import type { Dim, Graph } from '../graph/graph.js';
import { writeGraph } from '../graph/write.js';
import { native } from '../native.js';
import { createSession, importOnnxruntime, textOf, type Ort } from '../runtime/onnxruntime.js';
import { undisturbed } from '../runtime/undisturbed.js';
import type { Label } from './examples.js';
import { lossFeeds } from './loss-graph.js';
import type { Loss, SentenceLoss } from './losses.js';
import type { TrainedParameter } from './optimizer.js';
import { TokenStream, type Feed, type TextTokens } from './token-stream.js';
import { lossGraph, trainingGraph, type Goal, type Head, type TrainingGraph } from './training-graph.js';

/** Groups that attention is cut into, at most: more bring nothing. */
const maxGroups = 8;
const opset = 20;

/** Examples of one step, as tokens: all first texts, then all second ones, and so on. */
export interface Batch {
  readonly texts: readonly TextTokens[];
  /** Inputs of an example: its texts for a sentence model, 1 for a cross-encoder, whose pairs are one input. */
  readonly columns: number;
  /** One an example, or none where the loss asks for none. */
  readonly labels: readonly Label[];
  /** Names the batch: what dropout masks are drawn by, besides the seed. */
  readonly step: number;
}

/** What an {@link Engine} is made of. */
export interface EngineOptions {
  readonly encoder: Encoder;
  readonly head: Head;
  /** Every parameter of the graph, by its name in the body. */
  readonly weights: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** Those that are trained. */
  readonly trained: ReadonlyMap<string, TrainedParameter>;
  readonly threads: number;
  readonly dropout: boolean;
  readonly seed: number;
}

interface Compiled extends TrainingGraph {
  readonly session: InferenceSession;
  readonly groups: number;
}

/** Parts of a batch draw masks of their own: sites of part p count from p times this on. */
const sitesAPart = 1 << 16;

export class Engine {
  readonly #o: EngineOptions;
  readonly #ort: Ort;
  readonly #graphs = new Map<string, Promise<Compiled>>();
  readonly #losses = new Map<string, Promise<InferenceSession>>();
  /** Buffers that graphs write to and that live as long as the engine: gradients to be added, rows, masks. */
  readonly #scratch = new Map<string, Float32Array<ArrayBuffer>>();
  readonly #masks = new Map<string, Uint8Array<ArrayBuffer>>();

  private constructor(ort: Ort, o: EngineOptions) {
    this.#ort = ort;
    this.#o = o;
  }

  static async create(o: EngineOptions): Promise<Engine> {
    return new Engine(await importOnnxruntime(), o);
  }

  /**
   * The loss of `batch`; its gradients are added to those in the trained parameters' buffers, or replace them.
   * @throws FlatrankError `ERR_MODEL` where the graph fails
   */
  async run(loss: Loss, batch: Batch, accumulate: boolean): Promise<number> {
    const size = partSize(loss);
    if (size !== undefined) return this.#runInParts(loss as SentenceLoss, batch, accumulate, size);
    const goal = { type: 'loss', loss, columns: batch.columns } as Goal;
    const count = batch.texts.length / batch.columns;
    const classes = this.#o.head.type === 'scores' ? this.#o.head.labels : 1;
    const feeds = lossFeeds(batch.labels, count, classes);
    const { outputs } = await this.#runGraph(goal, batch.texts, batch.step, 0, feeds, accumulate);
    return outputs['loss']![0]!;
  }

  /** Frees the sessions. */
  async dispose(): Promise<void> {
    for (const compiled of this.#graphs.values()) {
      const { session } = await compiled;
      await undisturbed(() => session.release());
    }
    for (const session of this.#losses.values()) {
      const opened = await session;
      await undisturbed(() => opened.release());
    }
  }

  /** Embeddings part by part, the loss over all of them, then part by part again with the embeddings' gradients. */
  async #runInParts(
    loss: SentenceLoss,
    { texts, columns, step }: Batch,
    accumulate: boolean,
    size: number,
  ): Promise<number> {
    const dimension = this.#dimension();
    const embeddings = new Float32Array(texts.length * dimension);
    const parts = Array.from({ length: Math.ceil(texts.length / size) }, (_, p) =>
      texts.slice(p * size, (p + 1) * size),
    );
    for (const [p, part] of parts.entries()) {
      const { outputs } = await this.#runGraph({ type: 'embed' }, part, step, p, {}, false);
      embeddings.set(outputs['embeddings']!, p * size * dimension);
    }
    const key = JSON.stringify([loss, columns]);
    let session = this.#losses.get(key);
    if (!session) this.#losses.set(key, (session = this.#session(lossGraph(loss, columns, dimension))));
    const gradient = new Float32Array(embeddings.length);
    const value = new Float32Array(1);
    const shape = [texts.length, dimension];
    await this.#run(
      await session,
      { embeddings: { data: embeddings, shape }, ...lossFeeds([], texts.length / columns, 1) },
      { loss: this.#tensor(value, []), embedding_gradient: this.#tensor(gradient, shape) },
    );
    for (const [p, part] of parts.entries()) {
      const data = gradient.subarray(p * size * dimension, (p * size + part.length) * dimension);
      const feeds = { embedding_gradient: { data, shape: [part.length, dimension] } };
      await this.#runGraph({ type: 'backward' }, part, step, p, feeds, accumulate || p > 0);
    }
    return value[0]!;
  }

  #dimension(): number {
    const { head, encoder } = this.#o;
    return encoder.architecture.hidden * (head.type === 'embedding' ? head.pooling.length : 1);
  }

  async #runGraph(
    goal: Goal,
    texts: readonly TextTokens[],
    step: number,
    part: number,
    extra: Readonly<Record<string, Feed>>,
    accumulate: boolean,
  ): Promise<{ outputs: Record<string, Float32Array> }> {
    const compiled = await this.#compiled(goal, Math.min(maxGroups, texts.length));
    const stream = new TokenStream(texts, this.#o.encoder.architecture, compiled.groups);
    const dims = stream.dims();
    const feeds: Record<string, Feed> = {
      ...stream.feeds(compiled.session.inputNames),
      ...extra,
      ...(await this.#dropoutMasks(compiled, dims, step, part)),
    };
    for (const [name, shape] of compiled.parameters) feeds[name] = { data: this.#o.weights.get(name)!, shape };
    const outputs: Record<string, Float32Array<ArrayBuffer>> = {};
    const fetches: Record<string, Tensor> = {};
    const fetch = (name: string, data: Float32Array<ArrayBuffer>, shape: readonly number[]): void => {
      outputs[name] = data;
      fetches[name] = this.#tensor(data, shape);
    };
    if (goal.type === 'embed') {
      const shape = [texts.length, this.#dimension()];
      fetch('embeddings', new Float32Array(shape[0]! * shape[1]!), shape);
    } else fetch('loss', new Float32Array(1), []);
    for (const { name, shape, dense } of compiled.trained) {
      const { gradient } = this.#o.trained.get(name)!;
      if (dense !== undefined) fetch(dense, accumulate ? this.#buffer(name, gradient.length) : gradient, shape);
      else if (!accumulate) gradient.fill(0);
    }
    for (const [name, dimensions] of compiled.rowOutputs) {
      const shape = resolve(dimensions, dims);
      fetch(name, this.#buffer(name, shape[0]! * shape[1]!), shape);
    }
    await this.#run(compiled.session, feeds, fetches);
    await this.#gather(compiled, stream, outputs, accumulate);
    return { outputs };
  }

  /** Adds what the graph gave apart to the gradients: rows of tables, and everything where gradients are added up. */
  async #gather(
    { trained, rowOutputs }: TrainingGraph,
    stream: TokenStream,
    outputs: Readonly<Record<string, Float32Array>>,
    accumulate: boolean,
  ): Promise<void> {
    const { padId, positionsFrom } = this.#o.encoder.architecture;
    const dense = trained.filter((parameter) => parameter.dense !== undefined);
    if (accumulate)
      await native().accumulate(
        dense.map(({ name }) => this.#o.trained.get(name)!.gradient),
        dense.map((parameter) => outputs[parameter.dense!]!),
      );
    const ids = new Map<string, Int32Array>();
    for (const { name, rows } of trained)
      for (const { output, ids: source } of rows) {
        let list = typeof source === 'string' ? ids.get(source) : source;
        if (!list) ids.set(source as string, (list = stream.integers(source as 'ids')));
        // The padding token's embedding is not trained, nor its position where positions count from it.
        const fixed = source === 'ids' || (source === 'positions' && positionsFrom === 'padding') ? padId : -1;
        const { gradient } = this.#o.trained.get(name)!;
        await native().scatterAddRows(gradient, rowOutputs.get(output)![1] as number, outputs[output]!, list, fixed);
      }
  }

  async #dropoutMasks(
    { dropout }: TrainingGraph,
    dims: ReadonlyMap<string, number>,
    step: number,
    part: number,
  ): Promise<Record<string, Feed>> {
    const feeds: Record<string, Feed> = {};
    const byProbability = new Map<number, { masks: Uint8Array[]; sites: number[] }>();
    for (const [site, { input, shape, probability }] of dropout.entries()) {
      const sizes = resolve(shape, dims);
      const mask = this.#mask(
        input,
        sizes.reduce((product, dim) => product * dim, 1),
      );
      feeds[input] = { data: mask, shape: sizes };
      const group = byProbability.get(probability) ?? { masks: [], sites: [] };
      byProbability.set(probability, group);
      group.masks.push(mask);
      group.sites.push(part * sitesAPart + site);
    }
    for (const [probability, { masks, sites }] of byProbability)
      await native().dropoutMasks(masks, Int32Array.from(sites), this.#o.seed, step, probability);
    return feeds;
  }

  #compiled(goal: Goal, groups: number): Promise<Compiled> {
    const key = JSON.stringify([goal, groups]);
    let compiled = this.#graphs.get(key);
    if (!compiled) {
      const { encoder, head, dropout, trained } = this.#o;
      const built = trainingGraph({ encoder, head, goal, groups, dropout, frozen: (name) => !trained.has(name) });
      compiled = this.#session(built.graph).then((session) => ({ ...built, session, groups }));
      this.#graphs.set(key, compiled);
    }
    return compiled;
  }

  async #session(graph: Graph): Promise<InferenceSession> {
    const bytes = Buffer.concat(await writeGraph(graph, { opset }));
    const { threads } = this.#o;
    return createSession(this.#ort, bytes, 'the training graph', { threads, optimization: 'basic', spinning: true });
  }

  async #run(
    session: InferenceSession,
    feeds: Readonly<Record<string, Feed>>,
    fetches: Readonly<Record<string, Tensor>>,
  ): Promise<void> {
    const tensors: Record<string, Tensor> = {};
    for (const name of session.inputNames) {
      const { data, shape } = feeds[name]!;
      tensors[name] = this.#tensor(data, shape);
    }
    try {
      // Results are read from the buffers of `fetches`: what comes back are copies.
      await undisturbed(() => session.run(tensors, fetches));
    } catch (error) {
      throw new FlatrankError('ERR_MODEL', `The training graph failed: ${textOf(error)}`);
    }
  }

  #tensor(data: Feed['data'], shape: readonly number[]): Tensor {
    const { Tensor: Made } = this.#ort;
    if (data instanceof Float32Array) return new Made('float32', data, shape);
    if (data instanceof Uint8Array) return new Made('uint8', data, shape);
    return new Made('int64', data, shape);
  }

  /** A buffer of `length` values under a name, kept for the next time. */
  #buffer(name: string, length: number): Float32Array<ArrayBuffer> {
    let buffer = this.#scratch.get(name);
    if (!buffer || buffer.length < length) this.#scratch.set(name, (buffer = new Float32Array(length)));
    return buffer.subarray(0, length);
  }

  #mask(name: string, length: number): Uint8Array<ArrayBuffer> {
    let mask = this.#masks.get(name);
    if (!mask || mask.length < length) this.#masks.set(name, (mask = new Uint8Array(length)));
    return mask.subarray(0, length);
  }
}

/** Texts that a loss wants in memory at a time, where it goes through a batch part by part. */
function partSize(loss: Loss): number | undefined {
  if (loss.type === 'MatryoshkaLoss') return partSize(loss.loss);
  return loss.type === 'CachedMultipleNegativesRankingLoss' ? loss.miniBatchSize : undefined;
}

const resolve = (shape: readonly Dim[], dims: ReadonlyMap<string, number>): number[] =>
  shape.map((dim) => (typeof dim === 'number' ? dim : dims.get(dim)!));
