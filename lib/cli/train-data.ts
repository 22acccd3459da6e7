/** Data of `flatrank train`: examples to train on, and an evaluator over those held back. */
import {
  addIrrelevantContexts,
  labelledPairs,
  positivePairs,
  readExamples,
  trainTestSplit,
  type InputExample,
} from '../data/index.js';
import { datasetFiles } from '../data/source.js';
import { FlatrankError } from '../errors.js';
import {
  CrossEncoderClassificationEvaluator,
  CrossEncoderCorrelationEvaluator,
  EmbeddingSimilarityEvaluator,
  InformationRetrievalEvaluator,
  type Evaluates,
} from '../evaluate/index.js';
import type { CrossEncoder, SentenceTransformer } from '../model/index.js';
import { loadTask, type TaskSource } from './evaluate-data.js';

/** What is trained for. */
export type Recipe = 'sts' | 'mnr' | 'cross';

/** How data is read and split. */
export interface TrainDataOptions extends TaskSource {
  dev?: string;
  devSplit?: string;
  testSize?: number;
  seed: number;
  maxLabel?: number;
  /** Whether labels are classes, which nothing divides; else they are where a cross-encoder gets pairs by `--task`. */
  classes?: boolean;
}

export interface TrainData {
  readonly train: readonly InputExample[];
  readonly dev: readonly InputExample[];
}

/** Scores of STS go from 0 to this. */
const stsLabel = 5;

/**
 * Reads the examples of a recipe; those to measure by come from `--dev`, or are split off.
 * @throws FlatrankError as the readers; `ERR_BAD_FILE` where the data does not fit the recipe
 */
export async function loadTrainData(
  recipe: Recipe,
  data: string,
  o: TrainDataOptions,
  signal: AbortSignal,
): Promise<TrainData> {
  const examples = await loadExamples(recipe, data, o, signal);
  if (o.dev !== undefined) {
    const { devSplit, ...rest } = o;
    const source = devSplit === undefined ? { ...rest, split: undefined } : { ...rest, split: devSplit };
    const dev = await loadExamples(recipe, o.dev, source as TrainDataOptions, signal);
    return { train: examples, dev };
  }
  if (o.testSize === undefined) return { train: examples, dev: [] };
  const { train, test } = trainTestSplit(examples, { testSize: o.testSize, seed: o.seed });
  return { train, dev: test };
}

async function loadExamples(
  recipe: Recipe,
  data: string,
  o: TrainDataOptions,
  signal: AbortSignal,
): Promise<InputExample[]> {
  if (recipe === 'mnr' && o.task !== 'questions') {
    const positives = await readPositives(data, o, signal);
    if (positives) return positives;
  }
  const task = await loadTask(data, o, signal);
  if (task.kind === 'questions') {
    if (recipe === 'mnr') return positivePairs(task.rows);
    if (recipe === 'cross') return labelledPairs(addIrrelevantContexts(task.rows, { seed: o.seed }));
  } else if (task.kind !== 'beir' && recipe !== 'mnr') {
    const highest = task.pairs.reduce((most, { label }) => Math.max(most, label), 0);
    const classes = o.classes === true || (recipe === 'cross' && o.maxLabel === undefined && o.task === 'pairs');
    const by = classes ? 1 : (o.maxLabel ?? (highest > 1 ? stsLabel : 1));
    return task.pairs.map(({ texts, label }) => ({ texts, label: label / by }));
  }
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected ${data} to hold ${expectations[recipe]} but its shape is that of the task '${task.kind}'`,
  );
}

const expectations: Record<Recipe, string> = {
  sts: 'pairs of texts with a score',
  mnr: 'texts with what answers them (and negatives), or questions with contexts',
  cross: 'pairs of texts with a label, or questions with contexts',
};

/** Records of two texts or more without a label that matters; undefined where the data has another shape. */
async function readPositives(
  data: string,
  o: TrainDataOptions,
  signal: AbortSignal,
): Promise<InputExample[] | undefined> {
  const examples: InputExample[] = [];
  const options = {
    ...(o.columns ? { columns: o.columns } : {}),
    ...(o.texts ? { textFields: o.texts } : {}),
  };
  try {
    for (const file of await datasetFiles(data, undefined, {
      signal,
      ...(o.split === undefined ? {} : { split: o.split }),
    }))
      for await (const { texts } of readExamples(file, options)) {
        signal.throwIfAborted();
        examples.push({ texts });
      }
  } catch (error) {
    if (error instanceof FlatrankError && error.code === 'ERR_BAD_FILE' && !o.texts && examples.length === 0)
      return undefined;
    throw error;
  }
  return examples;
}

/** What measures a model on the examples held back. */
export function evaluatorOf(
  recipe: Recipe,
  dev: readonly InputExample[],
): Evaluates<SentenceTransformer> | Evaluates<CrossEncoder> | undefined {
  if (dev.length === 0) return undefined;
  const pairs = dev.map(({ texts }) => [texts[0]!, texts[1]!] as const);
  const labels = dev.map(({ label }) => label ?? 1);
  if (recipe === 'sts')
    return new EmbeddingSimilarityEvaluator({
      sentences1: pairs.map(([a]) => a),
      sentences2: pairs.map(([, b]) => b),
      scores: labels,
      similarityFnNames: ['cosine'],
    });
  if (recipe === 'cross')
    return labels.every(Number.isInteger)
      ? new CrossEncoderClassificationEvaluator({ sentencePairs: pairs, labels })
      : new CrossEncoderCorrelationEvaluator({ sentencePairs: pairs, scores: labels });
  return retrieval(pairs);
}

/** Each query is to find what answers it among all that was held back. */
function retrieval(pairs: readonly (readonly [string, string])[]): InformationRetrievalEvaluator {
  const documents = new Map<string, string>();
  const queries = new Map<string, string>();
  const relevant = new Map<string, Set<string>>();
  for (const [query, document] of pairs) {
    const d = documents.get(document) ?? `d${documents.size}`;
    const q = queries.get(query) ?? `q${queries.size}`;
    documents.set(document, d);
    queries.set(query, q);
    relevant.set(q, (relevant.get(q) ?? new Set()).add(d));
  }
  const byId = (texts: ReadonlyMap<string, string>): Map<string, string> =>
    new Map([...texts].map(([text, id]) => [id, text]));
  return new InformationRetrievalEvaluator({
    queries: byId(queries),
    corpus: byId(documents),
    relevantDocs: relevant,
    scoreFunctions: ['cosine'],
  });
}
