/** The road: base → tuned → reranked, each stage once, however often the run is interrupted. */
import { rm } from 'node:fs/promises';
import { positivePairs } from '../data/index.js';
import { modelFingerprint } from '../model/fingerprint.js';
import { CrossEncoder, SentenceTransformer } from '../model/index.js';
import { Retriever, type RetrieverMetric } from '../retriever/index.js';
import { chooseMetric } from '../retriever/metric.js';
import { notify } from '../runtime/progress.js';
import {
  BinaryCrossEntropyLoss,
  CosineSimilarityLoss,
  MultipleNegativesRankingLoss,
  type FitProgress,
} from '../train/index.js';
import {
  ask,
  askBm25,
  correlate,
  readCandidates,
  searchedTexts,
  similarity,
  type Asked,
  type Call,
  type Found,
} from './answers.js';
import { openCrossEncoder, openEncoder, using } from './models.js';
import { crossExamples, mine } from './negatives.js';
import type { Evaluated, Results, Run } from './run.js';
import type { Stages } from './stages.js';
import { fitOptions, removeCheckpoints, train } from './training.js';
import type { TuneOptions, TuneStage, TuneTrained } from './types.js';

/** Goes through the stages that are not done yet. */
export class Road {
  readonly #run: Run;
  readonly #stages: Stages;
  readonly #o: TuneOptions;

  constructor(run: Run, stages: Stages, o: TuneOptions) {
    this.#run = run;
    this.#stages = stages;
    this.#o = o;
  }

  async results(): Promise<Results> {
    const { plan, data, sts } = this.#run;
    const { signal } = this.#o;
    const start = (): Promise<SentenceTransformer> => openEncoder(plan.model, plan.maxSeqLength, signal);
    const saved = (name: string) => (): Promise<SentenceTransformer> =>
      SentenceTransformer.load(this.#stages.path(name), { signal });

    const bm25 = await this.#once('bm25', (call) => askBm25(this.#test, plan.biK, call));
    const base = await this.#once('base', (call) => this.#evaluate(start(), call));
    const trained: Partial<Record<'sts' | 'bi-encoder' | 'cross-encoder', Omit<TuneTrained, 'seconds'>>> = {};
    let open = start;
    let stsResult: Evaluated | undefined;
    if (sts && plan.sts) {
      const options = fitOptions(sts.train, new CosineSimilarityLoss(), plan.sts, plan.seed);
      trained.sts = await this.#train('sts', start, options);
      open = saved('sts');
      stsResult = await this.#once('sts-evaluation', (call) => this.#evaluate(open(), call));
    }
    const loss = new MultipleNegativesRankingLoss({ scale: plan.biEncoder.scale });
    const positives = positivePairs([...data.train]);
    trained['bi-encoder'] = await this.#train(
      'bi-encoder',
      open,
      fitOptions(positives, loss, plan.biEncoder, plan.seed),
    );
    const tunedEncoder = saved('bi-encoder');
    const tuned = await this.#once('tuned', (call) => this.#evaluate(tunedEncoder(), call, true));

    const perQuery = plan.crossEncoder.hardNegatives;
    const mined =
      perQuery === 0
        ? undefined
        : await this.#once('negatives', (call) =>
            using(tunedEncoder(), (encoder) => mine(encoder, data, { ...plan, ...call, perQuery })),
          );
    const body = plan.crossEncoder.body ?? this.#stages.path('bi-encoder');
    trained['cross-encoder'] = await this.#train(
      'cross-encoder',
      () => openCrossEncoder(body, plan.crossEncoder.maxLength, plan.seed, signal),
      fitOptions(crossExamples(data, mined, plan.seed), new BinaryCrossEntropyLoss(), plan.crossEncoder, plan.seed),
    );
    const openCross = (): Promise<CrossEncoder> => CrossEncoder.load(this.#stages.path('cross-encoder'), { signal });
    const pairs = await this.#once('pairs', async () => ({
      ...(await using(openCross(), (model) => correlate(model, this.#pairRows, plan.seed, signal))),
      fingerprint: await modelFingerprint(this.#stages.path('cross-encoder'), { ...plan.crossEncoder }),
    }));
    const read = (stage: 'validation' | 'rerank', asked: Asked, found: Found) =>
      this.#once(stage, (call) =>
        using(openCross(), (model) =>
          readCandidates(model, asked, found, this.#stages.path('stages', `${stage}.jsonl`), call),
        ),
      );
    const validation = await read('validation', this.#validation, tuned.validation!);
    const rows = data.test.slice(0, plan.rerankQuestions ?? data.test.length);
    const rerank = await read('rerank', { rows, corpus: searchedTexts(this.#test) }, tuned.test);
    await this.#once('store', (call) => this.#makeStore(tunedEncoder(), call));
    return { bm25, base, sts: stsResult, tuned, pairs, validation, rerank, trained };
  }

  get #test(): Asked {
    const { plan, data } = this.#run;
    return { rows: data.test, corpus: plan.searched === 'all' ? data.corpus : undefined };
  }

  get #validation(): Asked {
    const { plan, data } = this.#run;
    return { rows: data.validation, corpus: plan.searched === 'all' ? data.corpus : undefined };
  }

  get #pairRows() {
    const { plan, data } = this.#run;
    return data.test.slice(0, plan.pairQuestions);
  }

  #once<T>(stage: TuneStage, work: (call: Call) => Promise<T>): Promise<T> {
    const { onProgress, signal } = this.#o;
    return this.#stages.once(stage, () => {
      notify(onProgress, { stage, done: 0, total: 1 });
      signal?.throwIfAborted();
      return work({
        signal,
        onProgress: ({ done, total }) => {
          notify(onProgress, { stage, done, total });
        },
      });
    });
  }

  async #train<M extends SentenceTransformer | CrossEncoder>(
    stage: 'sts' | 'bi-encoder' | 'cross-encoder',
    open: () => Promise<M>,
    options: ReturnType<typeof fitOptions>,
  ): Promise<Omit<TuneTrained, 'seconds'>> {
    const { onProgress, signal, checkpointSaveSteps = 100 } = this.#o;
    const result = await this.#once(stage, () =>
      using(open(), (model) =>
        train(this.#stages, stage, model, {
          ...(options as object as Parameters<typeof train<M>>[3]),
          checkpointSaveSteps,
          signal,
          onProgress: ({ step, totalSteps, loss }: FitProgress) => {
            notify(onProgress, { stage, done: step, total: totalSteps, loss });
          },
        }),
      ),
    );
    await removeCheckpoints(this.#stages, stage);
    return result;
  }

  /** Asks a bi-encoder everything: the test questions, the pairs, and where asked for the validation questions. */
  async #evaluate(opened: Promise<SentenceTransformer>, call: Call, validate = false): Promise<Evaluated> {
    const { plan, data, sts } = this.#run;
    return using(opened, async (encoder) => {
      const metric = this.#metricOf(encoder);
      const { signal } = call;
      const correlation = await correlate(encoder, this.#pairRows, plan.seed, signal);
      const dev = sts?.dev ?? [];
      const [a, b] = [dev.map(({ texts }) => texts[0]!), dev.map(({ texts }) => texts[1]!)];
      const labels = dev.map(({ label }) => label!);
      const test = this.#test;
      // Where both search the same texts, these are encoded once.
      const together = validate && test.corpus !== undefined;
      const rows = together ? [...data.test, ...data.validation] : data.test;
      const found = await ask(encoder, { ...test, rows }, metric, plan.biK, call);
      const validation =
        validate && !together ? await ask(encoder, this.#validation, metric, plan.biK, call) : undefined;
      return {
        test: part(found, 0, data.test.length),
        ...(validate ? { validation: validation ?? part(found, data.test.length) } : {}),
        correlation,
        ...(dev.length > 0 ? { sts: await similarity(encoder, a, b, labels, signal) } : {}),
        fingerprint: encoder.source ? await encoder.fingerprint() : null,
      };
    });
  }

  /** All distinct contexts, ready to be searched: `Retriever.open(store)`. */
  async #makeStore(opened: Promise<SentenceTransformer>, { onProgress, signal }: Call): Promise<number> {
    const { corpus } = this.#run.data;
    const directory = this.#stages.path('store');
    await rm(directory, { recursive: true, force: true });
    return using(opened, async (encoder) => {
      await using retriever = await Retriever.create({ encoder, metric: this.#metricOf(encoder) });
      const options = signal ? { signal } : {};
      await retriever.add(corpus, {
        ...options,
        onProgress: ({ done }) => {
          onProgress({ done, total: corpus.length });
        },
      });
      await retriever.save(directory, options);
      return retriever.size;
    });
  }

  #metricOf(encoder: SentenceTransformer): RetrieverMetric {
    return chooseMetric(this.#run.plan.metric ?? undefined, encoder);
  }
}

/** Of what was found, the questions from `from` to `to`. */
function part({ ranks, candidates, scores, secondsPerQuery }: Found, from: number, to?: number): Found {
  return {
    ranks: ranks.slice(from, to),
    candidates: candidates.slice(from, to),
    scores: scores.slice(from, to),
    secondsPerQuery,
  };
}
