/** No text is encoded twice: the vectors of texts that a store has are taken from the store. */
import { createHash } from 'node:crypto';
import { Matrix } from '../matrix.js';
import type { SentenceTransformer } from '../model/index.js';
import type { RetrieverEncodeOptions, RetrieverEncoder } from '../retriever/index.js';
import type { Segment } from '../retriever/segment.js';

/** Where the vector of a text lies. */
interface Place {
  readonly segment: Pick<Segment<unknown>, 'read'>;
  readonly row: number;
}

/** A model that is asked only for vectors that it did not give before. */
export class KnownVectors {
  readonly #model: SentenceTransformer;
  readonly #places = new Map<string, Place>();

  constructor(model: SentenceTransformer) {
    this.#model = model;
  }

  /** That the vector of `text`, as a document, is this row's; its segment has to stay open while there is encoding. */
  learn(text: string, place: Place): void {
    this.#places.set(keyOf(text), place);
  }

  /** For a Retriever, as the model itself. */
  encoder(): RetrieverEncoder {
    const model = this.#model;
    const { dimension, similarityFnName, source, maxSeqLength, prompts } = model;
    return {
      ...{ dimension, similarityFnName, source, maxSeqLength, prompts },
      fingerprint: () => model.fingerprint(),
      countTokens: (texts, options) => model.countTokens(texts, options),
      encodeQuery: (texts, options) => model.encodeQuery(texts, options),
      encodeDocument: (texts, options) => this.#encodeDocument(texts, options),
    };
  }

  async #encodeDocument(texts: readonly string[], options: RetrieverEncodeOptions | undefined): Promise<Matrix> {
    const places = texts.map((text) => this.#places.get(keyOf(text)));
    const unknown = texts.filter((_, i) => !places[i]);
    const encoded = await this.#model.encodeDocument(unknown, options);
    if (encoded.rows === texts.length) return encoded;
    const all = new Matrix(new Float32Array(texts.length * encoded.cols), texts.length, encoded.cols);
    let next = 0;
    for (const [i, place] of places.entries())
      all.row(i).set(place ? (await place.segment.read(place.row, place.row + 1)).data : encoded.row(next++));
    return all;
  }
}

function keyOf(text: string): string {
  return createHash('sha256').update(text, 'utf16le').digest('base64url');
}
