/** Any transformer encoder exported to ONNX, run by onnxruntime on the calling thread: use it in a worker. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { FlatrankError } from '../errors.js';
import { halfToFloat } from '../formats/widen.js';
import type { Backend, BackendOutput, BackendOutputKind, Processor, TokenBatch } from './backend.js';
import { createSession, importOnnxruntime, textOf, type Ort } from './onnxruntime.js';
import { undisturbed } from './undisturbed.js';

type Feed = 'input_ids' | 'attention_mask' | 'token_type_ids' | 'position_ids';

const feedNames: readonly Feed[] = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'];
const outputNames: Record<OnnxBackendOptions['output'], readonly string[]> = {
  hidden: ['last_hidden_state', 'token_embeddings'],
  logits: ['logits'],
};

/** What {@link OnnxBackend.load} takes. */
export interface OnnxBackendOptions {
  readonly output: Exclude<BackendOutputKind, 'pooled'>;
  readonly processor: Processor;
  /** Threads inside an operator. */
  readonly threads: number;
  /** The id that fills rows up to the longest text of a batch. */
  readonly padId: number;
}

/** A {@link Backend} over an ONNX graph with padded inputs (batch, sequence). */
export class OnnxBackend implements Backend {
  readonly output: BackendOutputKind;
  readonly #ort: Ort;
  readonly #session: InferenceSession;
  readonly #padId: number;
  readonly #outputName: string;

  private constructor(ort: Ort, session: InferenceSession, outputName: string, o: OnnxBackendOptions) {
    this.#ort = ort;
    this.#session = session;
    this.#outputName = outputName;
    this.#padId = o.padId;
    this.output = o.output;
  }

  /**
   * @param file path of the .onnx file; external data beside it is found by onnxruntime
   * @throws FlatrankError `ERR_BAD_FILE` where the file is damaged or no ONNX graph, `ERR_UNSUPPORTED` where the graph
   *   asks for other inputs or gives no such output
   */
  static async load(file: string, o: OnnxBackendOptions): Promise<OnnxBackend> {
    const ort = await importOnnxruntime();
    const { processor, threads } = o;
    const session = await createSession(ort, file, file, { processor, threads, optimization: 'all' });
    try {
      checkInputs(file, session);
      return new OnnxBackend(ort, session, chooseOutput(file, session, o.output), o);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  async run(batch: TokenBatch): Promise<BackendOutput> {
    const { starts } = batch;
    const count = starts.length - 1;
    let width = 0;
    for (let i = 0; i < count; i++) width = Math.max(width, starts[i + 1]! - starts[i]!);

    const feeds: Record<string, Tensor> = {};
    for (const input of this.#session.inputMetadata) {
      const narrow = input.isTensor && input.type === 'int32';
      feeds[input.name] = this.#feed(input.name as Feed, batch, count, width, narrow);
    }
    let result: Tensor | undefined;
    try {
      result = (await undisturbed(() => this.#session.run(feeds, [this.#outputName])))[this.#outputName];
    } catch (error) {
      throw new FlatrankError(
        'ERR_MODEL',
        `The model failed on a batch of ${count} x ${width} tokens: ${textOf(error)}`,
      );
    }
    const shape = this.output === 'hidden' ? [count, width] : [count];
    const cols = result?.dims.at(-1) ?? 0;
    if (result?.dims.length !== shape.length + 1 || shape.some((size, i) => result.dims[i] !== size) || cols < 1)
      throw new FlatrankError(
        'ERR_MODEL',
        `Expected the model's output \`${this.#outputName}\` to have the shape (${shape.join(', ')}, dimension) but ` +
          `received (${result?.dims.join(', ') ?? 'nothing'})`,
      );
    const step = this.output === 'hidden' ? width : 1;
    const offsets = new Int32Array(count);
    for (let i = 0; i < count; i++) offsets[i] = i * step;
    return { data: this.#floats(result), cols, offsets };
  }

  async dispose(): Promise<void> {
    await undisturbed(() => this.#session.release());
  }

  /** One input (count, width), padded on the right. */
  #feed(name: Feed, { ids, typeIds, starts }: TokenBatch, count: number, width: number, narrow: boolean): Tensor {
    const shape = [count, width];
    // Ids are not negative: in a 64-bit integer they are the low word and the high word stays zero.
    const stride = narrow ? 1 : 2;
    const words = new Int32Array(count * width * stride);
    if (name === 'input_ids' && this.#padId !== 0)
      for (let i = 0; i < words.length; i += stride) words[i] = this.#padId;
    for (let row = 0; row < count; row++) {
      const start = starts[row]!;
      const length = starts[row + 1]! - start;
      let at = row * width * stride;
      for (let i = 0; i < length; i++, at += stride)
        words[at] =
          name === 'input_ids'
            ? ids[start + i]!
            : name === 'token_type_ids'
              ? typeIds[start + i]!
              : name === 'position_ids'
                ? i
                : 1;
    }
    return narrow
      ? new this.#ort.Tensor('int32', words, shape)
      : new this.#ort.Tensor('int64', new BigInt64Array(words.buffer), shape);
  }

  #floats(tensor: Tensor): Float32Array {
    if (tensor.type === 'float32') return tensor.data as Float32Array;
    if (tensor.type === 'float16') {
      const { buffer, byteOffset, byteLength } = tensor.data as Uint16Array;
      return Float32Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2), halfToFloat);
    }
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected the model's output \`${this.#outputName}\` to be float32 or float16 but received ${tensor.type}`,
    );
  }
}

function checkInputs(file: string, { inputMetadata }: InferenceSession): void {
  for (const input of inputMetadata) {
    const known = (feedNames as readonly string[]).includes(input.name);
    if (!known || !input.isTensor || (input.type !== 'int64' && input.type !== 'int32'))
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        `Expected ${file} to take integer inputs among ${feedNames.join(', ')} but it asks for ${describeValue(input)}`,
      );
  }
  if (!inputMetadata.some(({ name }) => name === 'input_ids'))
    throw new FlatrankError('ERR_UNSUPPORTED', `Expected ${file} to take the input input_ids but it does not`);
}

/** The output of the wanted kind: by its usual name, else the first of that rank that has not the other kind's name. */
function chooseOutput(file: string, { outputMetadata }: InferenceSession, kind: OnnxBackendOptions['output']): string {
  const rank = kind === 'hidden' ? 3 : 2;
  const others = outputNames[kind === 'hidden' ? 'logits' : 'hidden'];
  const fitting = outputMetadata.filter(
    (o) => o.isTensor && o.shape.length === rank && /^float(16|32)$/.test(o.type) && !others.includes(o.name),
  );
  const chosen = fitting.find(({ name }) => outputNames[kind].includes(name)) ?? fitting[0];
  if (chosen) return chosen.name;
  const wanted = kind === 'hidden' ? 'token vectors (batch, sequence, dimension)' : 'class scores (batch, labels)';
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected ${file} to give ${wanted} but it gives ${outputMetadata.map(describeValue).join('; ') || 'nothing'}`,
  );
}

function describeValue(value: InferenceSession.ValueMetadata): string {
  return value.isTensor ? `${value.name}: ${value.type} (${value.shape.join(', ')})` : `${value.name}: not a tensor`;
}
