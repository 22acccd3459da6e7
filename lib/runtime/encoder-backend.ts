/** An encoder built from its weights, run by onnxruntime on the calling thread: use it in a worker. */
import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import {
  Builder,
  classScores,
  constantsOf,
  joinedLinears,
  int8Linears,
  longText,
  pooledVectors,
  StreamLayout,
  tokenVectors,
  type Checkpoint,
  type Encoder,
} from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import type { ExternalData } from '../formats/onnx.js';
import { Graph, type Constant } from '../graph/graph.js';
import { writeGraph } from '../graph/write.js';
import type { PoolingMode } from '../native.js';
import type {
  Backend,
  BackendOutput,
  BackendOutputKind,
  PoolOptions,
  Precision,
  Processor,
  TokenBatch,
} from './backend.js';
import { createSession, importOnnxruntime, textOf, type Ort } from './onnxruntime.js';
import { undisturbed } from './undisturbed.js';

/** What {@link EncoderBackend.load} takes. */
export interface EncoderBackendOptions {
  /** Classes of the head; undefined for token vectors. */
  readonly labels: number | undefined;
  /** Modes by which the model itself pools its token vectors. */
  readonly pooling?: readonly PoolingMode[] | undefined;
  readonly processor: Processor;
  readonly precision: Precision;
  /** Threads inside an operator. */
  readonly threads: number;
}

/** Version of ONNX's operators that graphs are written in. */
const opset = 24;

/**
 * Places for a text are a multiple of this: so a text's numbers are the same in every batch. Softmax sums whole vectors, then what is
 * behind them, which onnxruntime's kernels for AVX do as one more vector and the others value by value. And where a head looks at
 * the first token alone, the product of its one row sums keys by four, and what is behind them one by one.
 */
const lanes: Readonly<Record<BackendOutputKind, number>> =
  process.arch === 'x64' ? { hidden: 1, pooled: 1, logits: 4 } : { hidden: 4, pooled: 4, logits: 4 };

/** A {@link Backend} over a graph of our own, on the stream of real tokens. */
export class EncoderBackend implements Backend {
  readonly output: BackendOutputKind;
  readonly #ort: Ort;
  readonly #session: InferenceSession;
  readonly #encoder: Encoder;
  readonly #inputs: ReadonlySet<string>;

  private constructor(ort: Ort, session: InferenceSession, encoder: Encoder, output: BackendOutputKind) {
    this.#ort = ort;
    this.#session = session;
    this.#encoder = encoder;
    this.output = output;
    this.#inputs = new Set(session.inputNames);
  }

  /**
   * Builds the graph of `encoder` over the parameters of `checkpoint`.
   * @throws FlatrankError `ERR_BAD_FILE` where a parameter is missing or does not fit, `ERR_UNSUPPORTED` where its type is not
   *   known
   */
  static async load(encoder: Encoder, checkpoint: Checkpoint, o: EncoderBackendOptions): Promise<EncoderBackend> {
    const { labels, pooling, processor, threads } = o;
    const output = labels !== undefined ? 'logits' : pooling ? 'pooled' : 'hidden';
    const graph = new Graph();
    const layout = new StreamLayout(graph, encoder.architecture);
    const linears = o.precision === 'int8' ? int8Linears(encoder, checkpoint) : joinedLinears;
    const builder = new Builder(graph, layout, constantsOf(checkpoint), linears);
    if (labels !== undefined) graph.output(output, classScores(builder, encoder, labels));
    else {
      const vectors = tokenVectors(builder, encoder, false);
      graph.output(output, pooling ? pooledVectors(layout, vectors, pooling) : vectors);
    }

    const ort = await importOnnxruntime();
    const { chunks, folder, files } = await withoutWeights(graph);
    const session = await createSession(ort, Buffer.concat(chunks), `the model of ${checkpoint.directory}`, {
      processor,
      threads,
      optimization: 'basic',
      externalFolder: folder,
      externalFiles: files,
    });
    return new EncoderBackend(ort, session, encoder, output);
  }

  async run(batch: TokenBatch, pool: PoolOptions = { skip: 0, normalize: false }): Promise<BackendOutput> {
    const { ids, starts } = batch;
    const texts = starts.length - 1;
    let result: Tensor | undefined;
    try {
      result = (await undisturbed(() => this.#session.run(this.#feeds(batch, pool))))[this.output];
    } catch (error) {
      throw new FlatrankError('ERR_MODEL', `The model failed on a batch of ${ids.length} tokens: ${textOf(error)}`);
    }
    const rows = this.output === 'hidden' ? ids.length : texts;
    const cols = result?.dims[1] ?? 0;
    if (result?.dims.length !== 2 || result.dims[0] !== rows || cols < 1)
      throw new FlatrankError(
        'ERR_MODEL',
        `Expected the model to give ${rows} rows but received (${result?.dims.join(', ') ?? 'nothing'})`,
      );
    const offsets = this.output === 'hidden' ? starts.slice(0, -1) : Int32Array.from({ length: texts }, (_, i) => i);
    return { data: result.data as Float32Array, cols, offsets };
  }

  async dispose(): Promise<void> {
    await undisturbed(() => this.#session.release());
  }

  #feeds({ ids, typeIds, starts }: TokenBatch, { skip, normalize }: PoolOptions): Record<string, Tensor> {
    const { padId, positionsFrom } = this.#encoder.architecture;
    const texts = starts.length - 1;
    const most = starts.reduce((most, start, i) => Math.max(most, start - (starts[i - 1] ?? 0)), 0);
    const step = lanes[this.output];
    const longest = most > longText ? most : Math.ceil(most / step) * step;
    const ofTokens = (): Int64s => int64s(ids.length);
    const [words, positions, types, back] = [ofTokens(), ofTokens(), ofTokens(), ofTokens()];
    const [places, lengths, firsts] = [int64s(texts * longest), int64s(texts), int64s(texts)];
    const [skipped, unit] = [int64s(1), int64s(1)];
    skipped.low[0] = skip;
    unit.low[0] = normalize ? 1 : 0;
    for (let i = 0; i < texts; i++) {
      const from = starts[i]!;
      const length = starts[i + 1]! - from;
      lengths.low[2 * i] = length;
      firsts.low[2 * i] = from;
      for (let t = 0, counted = 0; t < length; t++) {
        const at = from + t;
        const id = ids[at]!;
        words.low[2 * at] = id;
        types.low[2 * at] = typeIds[at]!;
        positions.low[2 * at] = positionsFrom === 'zero' ? t : id === padId ? padId : padId + ++counted;
        back.low[2 * at] = i * longest + t;
      }
      for (let t = 0; t < longest; t++) places.low[2 * (i * longest + t)] = t < length ? from + t : from;
    }
    const arrays: Record<string, [Int64s, number[]]> = {
      ids: [words, [ids.length]],
      positions: [positions, [ids.length]],
      types: [types, [ids.length]],
      places: [places, [texts, longest]],
      back: [back, [ids.length]],
      lengths: [lengths, [texts]],
      first_tokens: [firsts, [texts]],
      skip: [skipped, []],
      unit: [unit, []],
    };
    const feeds: Record<string, Tensor> = {};
    for (const [name, [{ all }, shape]] of Object.entries(arrays))
      if (this.#inputs.has(name)) feeds[name] = new this.#ort.Tensor('int64', all, shape);
    return feeds;
  }
}

/** Words of 64 bits, and a view in which every other one is the low half of one: what is not negative fits there. */
interface Int64s {
  readonly all: BigInt64Array;
  readonly low: Int32Array;
}

function int64s(length: number): Int64s {
  const all = new BigInt64Array(length);
  return { all, low: new Int32Array(all.buffer) };
}

/**
 * The model without its weights. Those of files stay there, where onnxruntime maps them; where there are no files all are
 * given as files in memory (it takes the one or the other). So a model may be larger than the 2 GB of a protobuf, and is
 * not copied to become one.
 */
async function withoutWeights(
  graph: Graph,
): Promise<{ chunks: readonly Uint8Array[]; folder: string | undefined; files: Map<string, Uint8Array> }> {
  const folder = await commonFolder(graph);
  const places = new Map<Constant, ExternalData>();
  const files = new Map<string, Uint8Array>();
  for (const constant of graph.constants) {
    const { data, range, value } = constant;
    const location = range && folder?.names.get(range.file);
    if (location !== undefined) places.set(constant, { ...range!, location });
    else if (!folder && typeof data === 'function') {
      const bytes = await data();
      files.set(value.name, bytes);
      places.set(constant, { location: value.name, offset: 0, byteLength: bytes.byteLength });
    }
  }
  const chunks = await writeGraph(graph, { opset, external: (constant) => places.get(constant) });
  return { chunks, folder: folder?.path, files };
}

/** The folder in which all files of the graph's constants are, and their names there: onnxruntime looks in one only. */
async function commonFolder(graph: Graph): Promise<{ path: string; names: Map<string, string> } | undefined> {
  const names = new Map<string, string>();
  const folders = new Set<string>();
  for (const file of new Set(graph.constants.flatMap(({ range }) => (range ? [range.file] : [])))) {
    // A cache keeps links: onnxruntime follows none that leaves the folder.
    const real = await realpath(file);
    names.set(file, basename(real));
    folders.add(dirname(real));
  }
  const [path] = folders;
  return folders.size === 1 ? { path: path!, names } : undefined;
}
