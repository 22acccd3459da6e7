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
