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
  StreamLayout,
  tokenVectors,
  type Checkpoint,
  type Encoder,
} from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import type { ExternalData } from '../formats/onnx.js';
import { Graph, type Constant } from '../graph/graph.js';
import { writeGraph } from '../graph/write.js';
import type { Backend, BackendOutput, BackendOutputKind, Precision, TokenBatch } from './backend.js';
import { blocksOf, type Blocks } from './blocks.js';
import { createSession, importOnnxruntime, textOf, type Ort } from './onnxruntime.js';

/** What {@link EncoderBackend.load} takes. */
export interface EncoderBackendOptions {
  /** Classes of the head; undefined for token vectors. */
  readonly labels: number | undefined;
  readonly precision: Precision;
  /** Threads inside an operator. */
  readonly threads: number;
}

/** Version of ONNX's operators that graphs are written in. */
const opset = 20;

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
    const { labels, threads } = o;
    const output = labels === undefined ? 'hidden' : 'logits';
    const graph = new Graph();
    const layout = new StreamLayout(graph, encoder.architecture, labels !== undefined);
    const linears = o.precision === 'int8' ? int8Linears(encoder, checkpoint) : joinedLinears;
    const builder = new Builder(graph, layout, constantsOf(checkpoint), linears);
    graph.output(
      output,
      labels === undefined ? tokenVectors(builder, encoder, false) : classScores(builder, encoder, labels),
    );

    const ort = await importOnnxruntime();
    const { chunks, folder, files } = await withoutWeights(graph);
    const session = await createSession(ort, Buffer.concat(chunks), `the model of ${checkpoint.directory}`, {
      threads,
      optimization: 'basic',
      externalFolder: folder,
      externalFiles: files,
    });
    return new EncoderBackend(ort, session, encoder, output);
  }

  async run(batch: TokenBatch): Promise<BackendOutput> {
    const blocks = blocksOf(batch);
    let result: Tensor | undefined;
    try {
      result = (await this.#session.run(this.#feeds(batch, blocks)))[this.output];
    } catch (error) {
      const tokens = batch.ids.length;
      throw new FlatrankError('ERR_MODEL', `The model failed on a batch of ${tokens} tokens: ${textOf(error)}`);
    }
    const rows = this.output === 'hidden' ? batch.ids.length : blocks.order.length;
    const cols = result?.dims[1] ?? 0;
    if (result?.dims.length !== 2 || result.dims[0] !== rows || cols < 1)
      throw new FlatrankError(
        'ERR_MODEL',
        `Expected the model to give ${rows} rows but received (${result?.dims.join(', ') ?? 'nothing'})`,
      );
    const offsets = new Int32Array(blocks.order.length);
    for (const [k, i] of blocks.order.entries()) offsets[i] = this.output === 'hidden' ? blocks.starts[k]! : k;
    return { data: result.data as Float32Array, cols, offsets };
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }

  #feeds(
    { ids, typeIds, starts }: TokenBatch,
    { order, starts: ordered, texts, lengths }: Blocks,
  ): Record<string, Tensor> {
    const { padId, positionsFrom, hidden } = this.#encoder.architecture;
    const words = { ids: int64s(ids.length), positions: int64s(ids.length), types: int64s(ids.length) };
    for (const [k, i] of order.entries()) {
      const from = starts[i]!;
      const to = ordered[k]!;
      let counted = 0;
      for (let t = 0, length = starts[i + 1]! - from; t < length; t++) {
        const id = ids[from + t]!;
        words.ids.low[2 * (to + t)] = id;
        words.types.low[2 * (to + t)] = typeIds[from + t]!;
        words.positions.low[2 * (to + t)] = positionsFrom === 'zero' ? t : id === padId ? padId : padId + ++counted;
      }
    }
    const blockTexts = cumulative(texts);
    const blockTokens = blockTexts.map((text) => ordered[text]!);
    const arrays: Record<string, [BigInt64Array, number[]]> = {
      ids: [words.ids.all, [ids.length]],
      positions: [words.positions.all, [ids.length]],
      types: [words.types.all, [ids.length]],
      shapes: [bigInts(texts.flatMap((n, g) => [n, lengths[g]!, hidden])), [texts.length, 3]],
      starts: corners(blockTokens.slice(0, -1)),
      ends: corners(blockTokens.slice(1)),
      first_tokens: [bigInts(ordered.subarray(0, -1)), [order.length]],
      first_starts: corners(blockTexts.slice(0, -1)),
      first_ends: corners(blockTexts.slice(1)),
    };
    const feeds: Record<string, Tensor> = {};
    for (const [name, [data, shape]] of Object.entries(arrays))
      if (this.#inputs.has(name)) feeds[name] = new this.#ort.Tensor('int64', data, shape);
    return feeds;
  }
}

/** Zeros, and a view in which every other word is the low half of one: ids are not negative and fit there. */
function int64s(length: number): { all: BigInt64Array; low: Int32Array } {
  const all = new BigInt64Array(length);
  return { all, low: new Int32Array(all.buffer) };
}

const bigInts = (values: ArrayLike<number>): BigInt64Array => BigInt64Array.from(Array.from(values, BigInt));

/** (count, 2) rows, each with column 0. */
const corners = (rows: readonly number[]): [BigInt64Array, number[]] => [
  bigInts(rows.flatMap((row) => [row, 0])),
  [rows.length, 2],
];

/** 0 and the sums up to each of `counts`. */
function cumulative(counts: readonly number[]): number[] {
  const sums = [0];
  for (const count of counts) sums.push(sums.at(-1)! + count);
  return sums;
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
