/** The public surface as its users write it: compiled, never run. */
import {
  BinaryCrossEntropyLoss,
  CoSENTLoss,
  CosineSimilarityLoss,
  CrossEncoder,
  FlatrankError,
  IndexFlatIP,
  IndexFlatL2,
  MatryoshkaLoss,
  MSELoss,
  Matrix,
  MultipleNegativesRankingLoss,
  Retriever,
  SentenceTransformer,
  errorCodes,
  splitText,
  tune,
  type Filter,
  fit,
  CrossEncoderCorrelationEvaluator,
  EmbeddingSimilarityEvaluator,
  mineHardNegatives,
  type FitReport,
  type FlatrankErrorCode,
  type Hit,
  type InputExample,
  type Pooling,
  type TuneReport,
} from 'flatrank';
import { expectTypeOf } from 'vitest';

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
  expectTypeOf<Pooling>().toEqualTypeOf<'mean' | 'cls' | 'max' | 'mean_sqrt_len'>();
  expectTypeOf(model.similarityFnName).toEqualTypeOf<'cosine' | 'dot' | 'euclidean' | 'manhattan'>();
  const one = await model.encode('text', { normalize: true, prompt: 'query: ', truncateDim: 64 });
  expectTypeOf(one).toEqualTypeOf<Float32Array>();
  const many = await model.encodeQuery(['text'], { promptName: 'query', batchTokens: 1024, signal });
  expectTypeOf(many).toEqualTypeOf<Matrix>();
  expectTypeOf(many.data).toEqualTypeOf<Float32Array>();
  expectTypeOf(many.row(0)).toEqualTypeOf<Float32Array>();
  expectTypeOf([many.rows, many.cols]).toEqualTypeOf<number[]>();
  for await (const matrix of model.encodeStream(['text'])) expectTypeOf(matrix).toEqualTypeOf<Matrix>();
  expectTypeOf(model.similarity(many, await model.encodeDocument(['text']))).toEqualTypeOf<Matrix>();

  await using cross = await CrossEncoder.load('dir', { maxLength: 512 });
  for (const inTheBox of [await SentenceTransformer.load(), await CrossEncoder.load(undefined, { precision: 'int8' })])
    await inTheBox.dispose();
  expectTypeOf(await cross.predict([['query', 'document']], { activation: 'none' })).toEqualTypeOf<Float32Array>();
  const ranked = await cross.rank('query', ['a'], { topK: 3 });
  expectTypeOf(ranked).toExtend<{ corpusId: number; score: number; text: string }[]>();
}

export async function indexes(signal: AbortSignal): Promise<void> {
  for (const Index of [IndexFlatL2, IndexFlatIP]) {
    await using index = new Index(384, { device: 'cpu', codes: 'none', threads: 2 });
    await index.add(new Float32Array(384));
    await index.add(new Matrix(new Float32Array(384), 1, 384));
    const { distances, labels } = await index.search(new Float32Array(384), 10, { signal });
    expectTypeOf(distances).toEqualTypeOf<Float32Array>();
    expectTypeOf(labels).toEqualTypeOf<Int32Array>();
    expectTypeOf([index.ntotal, index.dimension]).toEqualTypeOf<number[]>();
    expectTypeOf(index.reconstruct(0)).toEqualTypeOf<Float32Array>();
    await index.reset();
  }
}

export async function retrieval(encoder: SentenceTransformer, crossEncoder: CrossEncoder): Promise<void> {
  interface Page {
    url: string;
  }
  const retriever = await Retriever.create<Page>({ encoder, crossEncoder, metric: 'cosine' });
  const summary = await retriever.add([{ id: 'a', text: 'text', metadata: { url: '/' } }, 'text']);
  expectTypeOf(summary).toEqualTypeOf<{ added: number; truncated: number }>();
  const hits = await retriever.search('question', { k: 10 });
  expectTypeOf(hits).toEqualTypeOf<Hit<Page>[]>();
  const lists = await retriever.search(['question', 'another']);
  expectTypeOf(lists).toEqualTypeOf<Hit<Page>[][]>();
  const either = await retriever.search('question' as string | readonly string[]);
  expectTypeOf(either).toEqualTypeOf<Hit<Page>[] | Hit<Page>[][]>();
  const best = await retriever.rerank('question', hits, { k: 3, blend: 0.5 });
  const answers = await retriever.retrieve('question', { biK: 30, crossK: 10 });
  expectTypeOf(answers[0]?.metadata.url).toEqualTypeOf<string | undefined>();
  expectTypeOf(best[0]?.rerankScore).toEqualTypeOf<number | undefined>();
  await retriever.dispose();
}

export async function stores(encoder: SentenceTransformer, pages: AsyncIterable<string>): Promise<void> {
  interface Page {
    url: string;
    year?: number;
    tags: readonly string[];
    lang: 'ko' | 'en' | null;
    nested: { deep: number };
    seen: Date;
  }
  await using retriever = await Retriever.open<Page>('dir', { encoder, readOnly: true });
  await retriever.add([{ id: 'a', text: 'text' }], { onDuplicate: 'replace', split: { maxTokens: 128, overlap: 16 } });
  await retriever.add(pages);
  expectTypeOf(await retriever.remove(['a', 'b'])).toEqualTypeOf<{ removed: number }>();
  await retriever.save('other');
  await retriever.compact();
  expectTypeOf(await retriever.refresh()).toEqualTypeOf<boolean>();
  for await (const { id, metadata } of retriever.documents())
    expectTypeOf([id, metadata.url]).toEqualTypeOf<string[]>();
  const filter: Filter<Page> = {
    and: [{ lang: 'ko', year: { gte: 2020, lt: 2030 } }, { or: [{ tags: 'a' }, { tags: { in: ['b', 'c'] } }] }],
  };
  const [hit] = await retriever.search('question', { k: 3, filter });
  expectTypeOf(hit?.passage?.start).toEqualTypeOf<number | undefined>();
  await retriever.retrieve('question', { filter: { not: { lang: null } } });
  await retriever.search('question', { filter: { nested: { exists: true } } });
  await retriever.search('question', { filter: { seen: { gte: '2020-01-01' } } });
  // @ts-expect-error another type than the field has
  await retriever.search('question', { filter: { year: '2020' } });
  // @ts-expect-error a value that the field never has
  await retriever.search('question', { filter: { lang: { in: ['fr'] } } });
  // @ts-expect-error a field that is not there
  await retriever.search('question', { filter: { path: 'x' } });
  const loose: Filter = { anything: { ne: 5 }, other: true };
  const untyped = await Retriever.open('dir');
  await untyped.search(['a', 'b'], { filter: loose });
  expectTypeOf(await splitText('text', encoder, { overlap: 2 })).toExtend<{ text: string; index: number }[]>();
  expectTypeOf(await encoder.fingerprint()).toEqualTypeOf<string>();
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

export async function training(encoder: SentenceTransformer, cross: CrossEncoder): Promise<void> {
  const examples: InputExample[] = [{ texts: ['question', 'context'], label: 1 }];
  const report = await fit(encoder, {
    objectives: [
      { examples, loss: new MultipleNegativesRankingLoss({ scale: 20 }) },
      { examples, loss: new MatryoshkaLoss(new CoSENTLoss(), { dimensions: [64, 32] }) },
    ],
    evaluator: { evaluate: async (model) => (await model.encode('text')).length },
    epochs: 1,
    batchSize: 16,
    evaluationSteps: 100,
    warmupSteps: 10,
    outputPath: 'tuned',
    onProgress: ({ loss, learningRate, tokensPerSecond, secondsLeft }) => {
      expectTypeOf([loss, learningRate, tokensPerSecond, secondsLeft]).toEqualTypeOf<number[]>();
    },
  });
  expectTypeOf(report).toEqualTypeOf<FitReport>();
  const evaluator = new EmbeddingSimilarityEvaluator({ sentences1: ['a'], sentences2: ['b'], scores: [1] });
  await fit(encoder, { objectives: [{ examples, loss: new CosineSimilarityLoss() }], evaluator });
  await fit(cross, {
    objectives: [{ examples }],
    evaluator: new CrossEncoderCorrelationEvaluator({ sentencePairs: [['a', 'b']], scores: [1] }),
  });
  await fit(cross, { objectives: [{ examples }, { examples, loss: new BinaryCrossEntropyLoss({ posWeight: 2 }) }] });
  // @ts-expect-error a loss of the other kind of model
  await fit(cross, { objectives: [{ examples, loss: new CosineSimilarityLoss() }] });
  const label = (await encoder.encode(['text'])).row(0);
  await fit(encoder, { objectives: [{ examples: [{ texts: ['text', '글'], label }], loss: new MSELoss() }] });
  // @ts-expect-error a loss of embeddings, whose label is one
  await fit(encoder, { objectives: [{ examples, loss: new MSELoss() }] });
  // @ts-expect-error an embedding is no score
  await fit(encoder, { objectives: [{ examples: [{ texts: ['a', 'b'], label }], loss: new CosineSimilarityLoss() }] });
  const mined = await mineHardNegatives(encoder, examples, { rangeMin: 1, rangeMax: 30, margin: 0.1, perQuery: 2 });
  expectTypeOf(mined).toEqualTypeOf<InputExample[]>();
}

export async function road(signal: AbortSignal): Promise<void> {
  const report = await tune({
    data: [{ question: 'a question', context: 'its answer', alternatives: ['another'] }],
    model: 'dir',
    out: 'out',
    splitBy: 'context',
    biEncoder: { epochs: 2, learningRate: 2e-5, scale: 20 },
    crossEncoder: { body: { config: 'config.json', tokenizer: 'dir' }, hardNegatives: 1 },
    sts: { data: 'sts.csv', epochs: 4 },
    onProgress: ({ stage, done, total }) => `${stage} ${done}/${total}`,
    signal,
  });
  expectTypeOf(report).toEqualTypeOf<TuneReport>();
  expectTypeOf(report.systems[0]!.hitRates['10']).toEqualTypeOf<number | undefined>();
  expectTypeOf(report.systems[0]!.pearson).toEqualTypeOf<number | null>();
  expectTypeOf(report.blend.weight).toEqualTypeOf<number>();
}
