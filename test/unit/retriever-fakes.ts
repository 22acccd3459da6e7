import {
  FlatrankError,
  Matrix,
  type RetrieverCrossEncoder,
  type RetrieverEncodeOptions,
  type RetrieverEncoder,
} from 'flatrank';

/** One call that a {@link FakeEncoder} got. */
export interface EncodeCall {
  kind: 'query' | 'document';
  texts: readonly string[];
  normalize: boolean | undefined;
}

/**
 * An encoder of two dimensions that reads the vector from the text: 'x,y anything'. Longer texts than 20 characters
 * count as truncated.
 */
export class FakeEncoder implements RetrieverEncoder {
  readonly dimension = 2;
  readonly similarityFnName?: string;
  readonly calls: EncodeCall[] = [];
  disposed = false;
  /** Awaited in the middle of every call to encode documents. */
  pause: () => Promise<void> = () => Promise.resolve();

  constructor(similarityFnName?: string) {
    if (similarityFnName !== undefined) this.similarityFnName = similarityFnName;
  }

  encodeQuery(texts: readonly string[], options: RetrieverEncodeOptions = {}): Promise<Matrix> {
    return this.#encode('query', texts, options);
  }

  async encodeDocument(texts: readonly string[], options: RetrieverEncodeOptions = {}): Promise<Matrix> {
    await this.pause();
    return this.#encode('document', texts, options);
  }

  dispose(): void {
    this.disposed = true;
  }

  #encode(kind: 'query' | 'document', texts: readonly string[], options: RetrieverEncodeOptions): Promise<Matrix> {
    this.calls.push({ kind, texts, normalize: options.normalize });
    if (options.signal?.aborted) return Promise.reject(options.signal.reason as Error);
    const data = new Float32Array(texts.length * 2);
    for (const [i, text] of texts.entries()) {
      const [x, y] = text.split(' ')[0]!.split(',').map(Number) as [number, number];
      if (Number.isNaN(x)) return Promise.reject(new FlatrankError('ERR_MODEL', `no vector in ${text}`));
      const norm = options.normalize ? Math.hypot(x, y) : 1;
      data.set([x / norm, y / norm], 2 * i);
    }
    const cut = [...texts.entries()].filter(([, text]) => text.length > 20).map(([i]) => i);
    if (cut.length > 0) options.onTruncated?.({ count: cut.length, indices: Int32Array.from(cut) });
    options.onProgress?.({ done: texts.length, total: texts.length });
    return Promise.resolve(new Matrix(data, texts.length, 2));
  }
}

/**
 * An encoder whose vectors are a function of the text's bytes alone, of any dimension: texts that differ are far apart. Tokens
 * are words and two special ones.
 */
export class HashEncoder implements RetrieverEncoder {
  readonly maxSeqLength = 12;
  encoded = 0;

  constructor(
    readonly dimension: number,
    readonly name?: string,
  ) {}

  fingerprint(): Promise<string> {
    return Promise.resolve(`fake:${this.name ?? 'hash'}`);
  }

  encodeQuery(texts: readonly string[]): Promise<Matrix> {
    return Promise.resolve(this.#encode(texts));
  }

  encodeDocument(texts: readonly string[]): Promise<Matrix> {
    this.encoded += texts.length;
    return Promise.resolve(this.#encode(texts));
  }

  countTokens(texts: readonly string[]): Promise<Int32Array> {
    return Promise.resolve(Int32Array.from(texts, (text) => 2 + (text.match(/\S+/g)?.length ?? 0)));
  }

  #encode(texts: readonly string[]): Matrix {
    const data = new Float32Array(texts.length * this.dimension);
    for (const [i, text] of texts.entries()) {
      let state = 2166136261;
      for (const byte of Buffer.from(text)) state = Math.imul(state ^ byte, 16777619) >>> 0;
      let norm = 0;
      const row = data.subarray(i * this.dimension, (i + 1) * this.dimension);
      for (let j = 0; j < this.dimension; j++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        row[j] = state / 2 ** 31 - 1;
        norm += row[j]! ** 2;
      }
      for (let j = 0; j < this.dimension; j++) row[j]! /= Math.sqrt(norm);
    }
    return new Matrix(data, texts.length, this.dimension);
  }
}

/** A cross-encoder whose logit of a pair stands behind the '@' of the document. */
export class FakeCrossEncoder implements RetrieverCrossEncoder {
  readonly calls: (readonly (readonly [string, string])[])[] = [];

  constructor(readonly numLabels = 1) {}

  predict(
    pairs: readonly (readonly [string, string])[],
    options: { activation?: 'none'; signal?: AbortSignal } = {},
  ): Promise<Float32Array> {
    if (options.activation !== 'none') throw new Error('logits are asked for');
    if (options.signal?.aborted) return Promise.reject(options.signal.reason as Error);
    this.calls.push(pairs);
    return Promise.resolve(Float32Array.from(pairs, ([, text]) => Number(text.split('@')[1])));
  }
}
