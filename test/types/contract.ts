/** The public surface as its users write it: compiled, never run. */
import {
  CrossEncoder,
  FlatrankError,
  IndexFlatIP,
  IndexFlatL2,
  Matrix,
  Retriever,
  SentenceTransformer,
  errorCodes,
  type FlatrankErrorCode,
  type Hit,
  type Pooling,
} from 'flatrank';

/** Fails to compile where the types differ. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
const same = <A, B>(yes: Same<A, B>): Same<A, B> => yes;

export async function models(signal: AbortSignal): Promise<void> {
  await using model = await SentenceTransformer.load('dir', {
    device: 'auto',
    precision: 'float32',
    maxSeqLength: 128,
    pooling: 'mean',
    threads: 2,
    onProgress: ({ done, total }) => done / total,
    signal,
  });
  same<Pooling, 'mean' | 'cls' | 'max' | 'mean_sqrt_len'>(true);
  same<typeof model.similarityFnName, 'cosine' | 'dot' | 'euclidean' | 'manhattan'>(true);
  const one = await model.encode('text', { normalize: true, prompt: 'query: ', truncateDim: 64 });
  same<typeof one, Float32Array>(true);
  const many = await model.encodeQuery(['text'], { promptName: 'query', batchTokens: 1024, signal });
  same<typeof many, Matrix>(true);
  same<typeof many.data, Float32Array>(true);
  const row: Float32Array = many.row(0);
  const shape: [number, number] = [many.rows, many.cols];
  for await (const matrix of model.encodeStream(['text'])) same<typeof matrix, Matrix>(true);
  const similarity: Matrix = model.similarity(many, await model.encodeDocument(['text']));

  await using cross = await CrossEncoder.load('dir', { maxLength: 512 });
  const scores: Float32Array = await cross.predict([['query', 'document']], { activation: 'none' });
  const ranked: { corpusId: number; score: number; text: string }[] = await cross.rank('query', ['a'], { topK: 3 });
  [one, row, shape, similarity, scores, ranked];
}

export async function indexes(signal: AbortSignal): Promise<void> {
  for (const Index of [IndexFlatL2, IndexFlatIP]) {
    await using index = new Index(384, { device: 'cpu', codes: 'none', threads: 2 });
    await index.add(new Float32Array(384));
    await index.add(new Matrix(new Float32Array(384), 1, 384));
    const { distances, labels } = await index.search(new Float32Array(384), 10, { signal });
    same<typeof distances, Float32Array>(true);
    same<typeof labels, Int32Array>(true);
    const counts: number[] = [index.ntotal, index.dimension];
    const vector: Float32Array = index.reconstruct(0);
    await index.reset();
    [counts, vector];
  }
}

export async function retrieval(encoder: SentenceTransformer, crossEncoder: CrossEncoder): Promise<void> {
  interface Page {
    url: string;
  }
  const retriever = await Retriever.create<Page>({ encoder, crossEncoder, metric: 'cosine' });
  const { added, truncated } = await retriever.add([{ id: 'a', text: 'text', metadata: { url: '/' } }, 'text']);
  const hits = await retriever.search('question', { k: 10 });
  same<typeof hits, Hit<Page>[]>(true);
  const lists = await retriever.search(['question', 'another']);
  same<typeof lists, Hit<Page>[][]>(true);
  const best = await retriever.rerank('question', hits, { k: 3, blend: 0.5 });
  const answers = await retriever.retrieve('question', { biK: 30, crossK: 10 });
  const url: string | undefined = answers[0]?.metadata.url;
  const relevance: number | undefined = best[0]?.rerankScore;
  await retriever.dispose();
  [added, truncated, url, relevance];
}

export function errors(error: unknown): string {
  if (!(error instanceof FlatrankError)) return '';
  const code: FlatrankErrorCode = error.code;
  // @ts-expect-error a code that is not published
  if (error.code === 'ERR_NO_SUCH_CODE') return '';
  return errorCodes[code];
}

// @ts-expect-error a pair has two texts
export const broken = (cross: CrossEncoder): Promise<Float32Array> => cross.predict([['only one']]);
