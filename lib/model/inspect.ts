/** What a model directory holds, told without running the model. */
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';
import { Weights, weightsIndexName, weightsName } from '../formats/safetensors-weights.js';
import { positionLimit, readModelDirectory, type ModelDirectory } from './directory.js';
import { isFile, readJsonIfAny } from './json-file.js';
import { meanPooling } from './pooling-config.js';

/** A model, as `flatrank inspect` describes it. What a directory does not say is null. */
export interface ModelDescription {
  readonly kind: 'sentence-transformer' | 'cross-encoder';
  /** The transformers class that the checkpoint was saved from. */
  readonly architecture: string | null;
  readonly modelType: string | null;
  readonly layers: number | null;
  readonly hiddenSize: number | null;
  /** Trained values in the safetensors files, and their types. */
  readonly parameters: number | null;
  readonly dtypes: readonly string[];
  readonly tokenizer: { readonly type: string | null; readonly vocabularySize: number } | null;
  /** Values of an embedding; null for a cross-encoder. */
  readonly dimension: number | null;
  /** Scores for a pair; null for a sentence-transformer. */
  readonly numLabels: number | null;
  /** Pooling modes and what follows them, in their order. */
  readonly pooling: readonly string[];
  readonly maxSeqLength: number;
  readonly similarityFnName: string | null;
  readonly prompts: Readonly<Record<string, string>>;
  readonly defaultPromptName: string | null;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/** The part of tokenizer.json that is told; its reader checks the rest. */
const tokenizerSummary = z.looseObject({
  model: z.looseObject({ type: z.string().optional(), vocab: z.union([z.looseObject({}), z.array(z.unknown())]) }),
});

/**
 * What kind of model `root` holds: a checkpoint of a sequence classification model without pooling is a cross-encoder, any other a
 * bi-encoder.
 * @throws FlatrankError as {@link inspectModel}
 */
export async function kindOfModel(root: string): Promise<ModelDescription['kind']> {
  return kindOf(await readModelDirectory(root));
}

function kindOf({ config, modules }: ModelDirectory): ModelDescription['kind'] {
  const classifies = (config.architectures?.[0] ?? '').endsWith('ForSequenceClassification');
  return classifies && !modules?.pooling ? 'cross-encoder' : 'sentence-transformer';
}

/**
 * Describes the model in `root`.
 * @throws FlatrankError `ERR_NOT_FOUND` where it or a file is missing, `ERR_BAD_FILE` where one is damaged, `ERR_UNSUPPORTED` for a
 *   module that is not known
 */
export async function inspectModel(root: string): Promise<ModelDescription> {
  const directory = await readModelDirectory(root);
  const { config, sentenceTransformers: settings } = directory;
  const architecture = config.architectures?.[0] ?? null;
  const kind = kindOf(directory);
  const isCrossEncoder = kind === 'cross-encoder';
  const hiddenSize = numberOf(config, 'hidden_size', 'dim');
  const tokenizer = await readJsonIfAny(join(directory.transformer, 'tokenizer.json'), tokenizerSummary);
  return {
    kind,
    architecture,
    modelType: config.model_type ?? null,
    layers: numberOf(config, 'num_hidden_layers', 'n_layers'),
    hiddenSize,
    ...(await readParameters(directory.transformer)),
    tokenizer: tokenizer
      ? { type: tokenizer.model.type ?? null, vocabularySize: Object.keys(tokenizer.model.vocab).length }
      : null,
    dimension: isCrossEncoder ? null : dimensionOf(directory, hiddenSize),
    numLabels: isCrossEncoder ? labelsOf(config) : null,
    pooling: isCrossEncoder ? [] : poolingOf(directory),
    maxSeqLength: Math.min(directory.maxSeqLength, positionLimit(config)),
    similarityFnName: isCrossEncoder ? null : (settings.similarity_fn_name ?? 'cosine'),
    prompts: Object.fromEntries(Object.entries(settings.prompts ?? {}).map(([name, text]) => [name, text ?? ''])),
    defaultPromptName: settings.default_prompt_name ?? null,
    files: await filesOf(root),
  };
}

async function readParameters(transformer: string): Promise<Pick<ModelDescription, 'parameters' | 'dtypes'>> {
  const there = await Promise.all([weightsName, weightsIndexName].map((name) => isFile(join(transformer, name))));
  if (!there.includes(true)) return { parameters: null, dtypes: [] };
  const weights = await Weights.open(transformer);
  // Integers are buffers, such as the numbers of the positions.
  const trained = weights.names.map((name) => weights.get(name)).filter(({ dtype }) => dtype.includes('F'));
  const parameters = trained.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  return { parameters, dtypes: [...new Set(trained.map(({ dtype }) => dtype))].sort() };
}

function poolingOf({ modules }: ModelDirectory): string[] {
  const { modes } = modules ? (modules.pooling ?? { modes: [] }) : meanPooling;
  const steps = modules?.steps ?? [];
  return [...modes, ...steps.map((step) => (step.type === 'dense' ? `dense ${step.dense.outFeatures}` : step.type))];
}

function dimensionOf({ modules, sentenceTransformers }: ModelDirectory, hiddenSize: number | null): number | null {
  const dense = modules?.steps.findLast((step) => step.type === 'dense')?.dense.outFeatures;
  const modes = modules?.pooling?.modes.length ?? 1;
  const full = dense ?? (hiddenSize === null ? null : hiddenSize * modes);
  return full === null ? null : Math.min(full, sentenceTransformers.truncate_dim ?? full);
}

/** As transformers counts them: two where nothing is said. */
function labelsOf(config: Record<string, unknown>): number {
  const names = config['id2label'];
  return typeof names === 'object' && names !== null
    ? Object.keys(names).length
    : (numberOf(config, 'num_labels') ?? 2);
}

function numberOf(config: Record<string, unknown>, ...names: string[]): number | null {
  const value = names.map((name) => config[name]).find((number) => number != null);
  return typeof value === 'number' ? value : null;
}

async function filesOf(root: string): Promise<ModelDescription['files']> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const stats = await stat(path).catch(() => undefined); // of what a link leads to
      return stats?.isFile() ? [{ path: relative(root, path).split(sep).join('/'), bytes: stats.size }] : [];
    }),
  );
  return files.flat().sort((a, b) => (a.path < b.path ? -1 : 1));
}
